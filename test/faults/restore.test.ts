/**
 * An older backup is restored while devices are ahead of it: what the server accepts from then on reaches every device.
 */
import { copyFileSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { wins } from '../../src/services/Revision.js'
import { downgrade } from '../support/earlierRelease.js'
import { migratedFile } from '../support/migratedFile.js'
import { put, scope, opId } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { wholeChain } from '../support/records.js'
import { Device, deviceFrom, liveOnServer } from '../support/simulatedDevice.js'
import { subjectOnFile } from '../support/layerSubjects.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

/** A server on a file, which can be backed up while it runs and restored while it does not. */
const server = async () => {
  const { folder, remove } = temporaryFolder()
  const file = join(folder, 'server.db')
  const backup = join(folder, 'backup.db')
  let subject = await subjectOnFile(await migratedFile(file))
  return {
    file,
    subject: (): Subject => subject,
    backup: () => {
      rmSync(backup, { force: true })
      const database = new Sqlite(file)
      database.prepare('VACUUM INTO ?').run(backup)
      database.close()
    },
    /** `note`: what there is in place of the note that was there. */
    restore: async ({
      withNote = true,
      asIfUpgraded = false,
      note = undefined as string | undefined,
    } = {}) => {
      await subject.close()
      copyFileSync(backup, file)
      if (asIfUpgraded) await downgrade(file, 3)
      if (!withNote) rmSync(`${file}-seen`)
      if (note !== undefined) writeFileSync(`${file}-seen`, note)
      subject = await subjectOnFile(file)
    },
    reopen: async () => {
      await subject.close()
      subject = await subjectOnFile(file)
    },
    close: async () => {
      await subject.close()
      remove()
    },
  }
}

const device = fc.nat(2)

const events = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        type: fc.constant('edit' as const),
        device,
        pk: fc.constantFrom('a', 'b', 'c', 'd'),
        operation: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
      }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('sync' as const), device }) },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('pull' as const),
        device,
        limit: fc.integer({ min: 1, max: 3 }),
      }),
    },
  ),
  { maxLength: 25, size: 'max' },
)

type Server = Awaited<ReturnType<typeof server>>
type Events = typeof events extends fc.Arbitrary<infer A> ? A : never

const play = async (host: Server, devices: ReadonlyArray<Device>, happenings: Events, era: string) => {
  for (const [index, happening] of happenings.entries()) {
    const actor = devices[happening.device]!
    if (happening.type === 'edit')
      actor.edit('messages', happening.pk, happening.operation, `${era}-${index}`)
    else if (happening.type === 'sync') await actor.synchronise(host.subject())
    else await actor.pull(host.subject(), happening.limit)
  }
}

/** Everybody's outbox out, and then everybody's pulls, until nobody learns anything new. */
const settle = async (host: Server, devices: ReadonlyArray<Device>) => {
  for (let round = 0; round < 3; round++) for (const each of devices) await each.synchronise(host.subject())
}

describe('a device that is reading a snapshot', () => {
  it('begins anew when an older backup was restored, and ends where the others are', async () => {
    const host = await server()
    const [old, fresh] = [new Device('old'), new Device('fresh')]
    for (const pk of ['a', 'b', 'c']) old.edit('messages', pk, 'put', 'before')
    await old.synchronise(host.subject())
    host.backup()
    for (const pk of ['a', 'c', 'd']) old.edit('messages', pk, 'put', 'lost')
    await old.synchronise(host.subject())
    fresh.begin()
    await fresh.readPage(host.subject(), 1)
    await fresh.readPage(host.subject(), 1)
    await host.restore()
    // Refused with 410: what it has staged may be lost.
    await fresh.readPage(host.subject(), 1)
    expect(fresh.isBeginning).toBe(true)
    // Its revisions are those of pulls: the clocks of what was restored have risen.
    const { items } = await wholeChain(host.subject(), { ...scope(), pageSize: 2 })
    const { changes } = await host.subject().pull({ ...scope(), cursor: 0 })
    expect(items.map(({ pk, revision }) => [pk, revision.clock])).toEqual(
      changes.map(({ pk, stamp }) => [pk, stamp.clock]),
    )
    expect(items[0]!.revision.clock).toBeGreaterThan(2 ** 32)
    await fresh.synchronise(host.subject())
    old.edit('messages', 'b', 'put', 'after')
    for (const each of [old, fresh]) await each.synchronise(host.subject())
    expect(fresh.live()).toEqual(await liveOnServer(host.subject()))
    expect(Object.keys(fresh.live())).toEqual(['messages/a', 'messages/b', 'messages/c'])
    await host.close()
  })

  it('goes on where it was when the server was only started again', async () => {
    const host = await server()
    const [old, fresh] = [new Device('old'), new Device('fresh')]
    for (const pk of ['a', 'b', 'c']) old.edit('messages', pk, 'put', 'before')
    await old.synchronise(host.subject())
    fresh.begin()
    await fresh.readPage(host.subject(), 1)
    await host.reopen()
    await fresh.readPage(host.subject(), 1)
    const compact = new Sqlite(host.file)
    compact.exec('VACUUM')
    compact.close()
    await fresh.readPage(host.subject(), 1)
    expect(fresh.isBeginning).toBe(false)
    expect(fresh.live()).toEqual(await liveOnServer(host.subject()))
    await host.close()
  })
})

describe('after the restore of an older backup', () => {
  it(
    'every change accepted since reaches every device, and all agree on every row the server has',
    () =>
      fc.assert(
        fc.asyncProperty(events, events, events, async (before, lost, after) => {
          const host = await server()
          try {
            const devices = ['d1', 'd2', 'd3'].map((id) => new Device(id))
            await play(host, devices, before, 'before')
            host.backup()
            await play(host, devices, lost, 'lost')
            await host.restore()
            await play(host, devices, after, 'after')
            await settle(host, devices)
            const { rows } = await host.subject().view('w1')
            for (const each of devices) {
              for (const row of rows) {
                expect(each.rows.get(`messages/${row.pk}`), `${each.id} ${row.pk}`).toMatchObject({
                  clock: row.clock,
                  hlc: row.hlc,
                  deleted: row.deleted,
                  payload: row.payload,
                })
              }
            }
          } finally {
            await host.close()
          }
        }),
        cases(40),
      ),
    patience(120_000),
  )

  it(
    'on another machine too, every device gets every change, or has a greater revision of its own',
    () =>
      fc.assert(
        fc.asyncProperty(events, events, events, async (before, lost, after) => {
          const host = await server()
          try {
            const devices = ['d1', 'd2', 'd3'].map((id) => new Device(id))
            await host.subject().push({ ...scope(), ops: [put({ pk: 'first' })] })
            await play(host, devices, before, 'before')
            host.backup()
            await play(host, devices, lost, 'lost')
            await host.restore({ withNote: false })
            await play(host, devices, after, 'after')
            await settle(host, devices)
            const { rows } = await host.subject().view('w1')
            for (const each of devices) {
              for (const row of rows) {
                const local = each.rows.get(`messages/${row.pk}`)
                expect(local, `${each.id} ${row.pk}`).toBeDefined()
                expect(wins(row, { ...local!, opId: row.opId })).toBe(false)
              }
            }
          } finally {
            await host.close()
          }
        }),
        cases(30),
      ),
    patience(120_000),
  )

  it('a device that was overtaken meanwhile gets what it would have missed', async () => {
    const host = await server()
    const [ahead, other] = [new Device('d1'), new Device('d2')]
    host.backup()
    for (const pk of ['a', 'b', 'c']) ahead.edit('messages', pk, 'put', 'lost')
    await ahead.synchronise(host.subject())
    await host.restore()
    for (const pk of ['d', 'e', 'f', 'g']) other.edit('messages', pk, 'put', 'new')
    await other.synchronise(host.subject())
    await ahead.synchronise(host.subject())
    await ahead.synchronise(host.subject())
    expect(ahead.live()).toMatchObject(await liveOnServer(host.subject()))
    expect(Object.keys(await liveOnServer(host.subject()))).toHaveLength(4)
    await host.close()
  })

  it('the same backup restored twice brings everything again', async () => {
    const host = await server()
    const [one, other] = [new Device('d1'), new Device('d2')]
    one.edit('messages', 'a', 'put', 'kept')
    await one.synchronise(host.subject())
    host.backup()
    for (const era of ['first', 'second', 'third']) {
      one.edit('messages', 'a', 'put', `lost-${era}`)
      one.edit('messages', era, 'put', `lost-${era}`)
      await settle(host, [one, other])
      await host.restore()
      other.edit('messages', `new-${era}`, 'put', 'new')
      await settle(host, [other, one])
      expect(one.rows.get('messages/a')).toMatchObject({ payload: { text: 'kept' } })
      expect(one.live()).toMatchObject(await liveOnServer(host.subject()))
      expect(other.live()).toMatchObject(await liveOnServer(host.subject()))
    }
    await host.close()
  })

  describe('on an empty machine, twice from the same backup', () => {
    afterEach(() => void vi.useRealTimers())

    const lifetimes = async (note: string | undefined, minutes: number) => {
      vi.useFakeTimers({ toFake: ['Date'], now: new Date('2027-03-01T12:00:00Z') })
      const host = await server()
      const [old, other] = [new Device('old'), new Device('other')]
      old.edit('messages', 'a', 'put', 'first life')
      await old.synchronise(host.subject())
      host.backup()
      const wipedAndRestored = async () => {
        vi.setSystemTime(Date.now() + minutes * 60_000)
        await host.restore({ withNote: false, note })
      }
      await wipedAndRestored()
      for (const pk of ['b', 'c', 'd', 'a']) old.edit('messages', pk, 'put', 'second life')
      await settle(host, [old])
      await wipedAndRestored()
      for (const pk of ['e', 'f', 'g', 'h', 'i']) other.edit('messages', pk, 'put', 'third life')
      await settle(host, [other, old])
      return { host, old, other }
    }

    // What `restore` writes where there was no note, and what the README says to write.
    it.each(['9007199254740991 1 0\n', '9007199254740991\n'])(
      'with the note %j all devices agree on every record that the server has',
      async (note) => {
        const { host, old, other } = await lifetimes(note, 11)
        expect(old.live()).toMatchObject(await liveOnServer(host.subject()))
        expect(other.live()).toEqual(await liveOnServer(host.subject()))
        await host.close()
      },
    )

    it('without a note every change reaches every device', async () => {
      const { host, old } = await lifetimes(undefined, 11)
      const missed = ['e', 'f', 'g', 'h', 'i'].filter((pk) => !old.rows.has(`messages/${pk}`))
      expect(missed).toEqual([])
      await host.close()
    })

    it('a device from a later life is believed by a copy of the whole folder from before', async () => {
      const { host, old } = await lifetimes('9007199254740991\n', 11)
      // As the folder was: file and note.
      await host.restore({ note: '1 1 0\n' })
      vi.setSystemTime(Date.now() + 2 * 86_400_000)
      await settle(host, [old])
      const fresh = new Device('fresh')
      fresh.edit('messages', 'z', 'put', 'after')
      await settle(host, [fresh, old])
      expect(old.rows.has('messages/z')).toBe(true)
      await host.close()
    })
  })

  it('a backup from before an upgrade is recognised too', async () => {
    const host = await server()
    await host.subject().push({ ...scope(), ops: [put()] })
    host.backup()
    await host.subject().push({ ...scope(), ops: [put({ clock: 2 }), put({ clock: 3 })] })
    await host.restore({ asIfUpgraded: true })
    expect((await host.subject().view('w1')).version).toBeGreaterThan(2 ** 32)
    await host.close()
  })

  it('a file that leapt under 0.1, which raised its rows themselves, is served and leaps again', async () => {
    const host = await server()
    const old = put({ pk: 'a', id: 'old', clock: 3, payload: { n: 1 } })
    await host.subject().push({ ...scope(), ops: [old, put({ pk: 'b', id: 'b', payload: { n: 2 } })] })
    await host.subject().close()
    await downgrade(host.file, 3)
    const database = new Sqlite(host.file)
    const epoch = 2 ** 32
    database.exec(`
      UPDATE s_messages SET server_version = server_version + ${epoch}, clock = clock + ${epoch};
      UPDATE server_version_counter SET value = value + ${epoch}, trimmed_version = value + ${epoch}, leapt_at = 5,
        clock_base = ${epoch}`)
    database.close()
    writeFileSync(`${host.file}-seen`, `${epoch + 2} ${epoch + 2} ${epoch}\n`)
    await host.reopen().catch(() => undefined)

    const live = (cursor: number) => deviceFrom(host.subject(), cursor, 1)
    expect((await live(2)).live()).toEqual({ 'messages/a': { n: 1 }, 'messages/b': { n: 2 } })
    // From a device that does not know of the restore yet: a replay, and an edit.
    const { verdicts } = await host
      .subject()
      .push({ ...scope(), ops: [old, put({ pk: 'a', id: 'edit', clock: 4, payload: { n: 3 } })] })
    expect(verdicts).toEqual([
      { kind: 'replay', opId: opId('old'), version: 1 },
      { kind: 'applied', opId: opId('edit'), version: epoch + 3 },
    ])
    const before = await live(0)
    expect(before.rows.get('messages/a')).toMatchObject({ clock: epoch + 4, payload: { n: 3 } })

    // And now a restore that this release notices.
    await host.subject().close()
    writeFileSync(`${host.file}-seen`, `${epoch + 9} ${epoch + 9} ${epoch}\n`)
    await host.reopen().catch(() => undefined)
    const { version, rows } = await host.subject().view('w1')
    expect(version).toBe(2 * epoch + 3)
    expect(rows).toMatchObject([{ clock: 2 * epoch + 4 }, { clock: 2 * epoch + 1 }])
    expect((await live(epoch + 9)).live()).toEqual({ 'messages/a': { n: 3 }, 'messages/b': { n: 2 } })
    expect(
      await host.subject().push({
        ...scope(),
        ops: [old, put({ pk: 'a', id: 'edit', clock: epoch + 4, payload: { n: 3 } })],
      }),
    ).toMatchObject({ verdicts: [{ kind: 'replay' }, { kind: 'replay' }] })
    await host.close()
  })

  it('a database that is reached through a link has its note beside the file itself', async () => {
    const host = await server()
    await host.subject().push({ ...scope(), ops: [put()] })
    const link = `${host.file}.link`
    symlinkSync(host.file, link)
    await host.subject().close()
    const linked = await subjectOnFile(link)
    expect((await linked.view('w1')).version).toBe(1)
    expect(existsSync(`${link}-seen`)).toBe(false)
    await linked.close()
    await host.reopen().catch(() => undefined)
    await host.close()
  })
})

describe('without a restore', () => {
  it('nothing leaps when the server starts again, nor when its note is from before the last changes', async () => {
    const host = await server()
    await host.subject().push({ ...scope(), ops: [put()] })
    await host.reopen()
    expect((await host.subject().view('w1')).version).toBe(1)
    await host.subject().push({ ...scope(), ops: [put({ clock: 2 })] })
    await host.subject().close()
    writeFileSync(`${host.file}-seen`, '1 1 0\n')
    await host.reopen().catch(() => undefined)
    expect((await host.subject().view('w1')).version).toBe(2)
    await host.close()
  })

  it.each(['rubbish', '', '-5', '1 2'])('a note that says %j counts as none', async (note) => {
    const host = await server()
    await host.subject().push({ ...scope(), ops: [put()] })
    await host.subject().close()
    writeFileSync(`${host.file}-seen`, note)
    await host.reopen().catch(() => undefined)
    expect((await host.subject().view('w1')).version).toBeGreaterThan(2 ** 32)
    expect(existsSync(`${host.file}-seen`)).toBe(true)
    await host.close()
  })
})
