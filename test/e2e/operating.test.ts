/**
 * The guide for operators, `docs/operating.md`: its commands are run in its order, on a machine of folders, against the built host.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtHost, plainConsumer } from '../support/builtHost.js'
import { downgrade } from '../support/earlierRelease.js'
import { freePort } from '../support/freePort.js'
import { type Env, newsIn, root, run } from '../support/run.js'
import { killServers, type Server, start, startServer } from '../support/server.js'
import { startTurso } from '../support/tursoServer.js'
import { SyncingDevice } from '../support/syncingDevice.js'

const guide = readFileSync(join(root, 'docs/operating.md'), 'utf8')

interface Section {
  readonly title: string
  readonly text: string
  /** Code by its language, in order. */
  readonly blocks: ReadonlyArray<{ readonly language: string; readonly code: string }>
}

const sections: ReadonlyArray<Section> = guide.split(/^## /m).map((text, index) => ({
  title: index === 0 ? '' : text.slice(0, text.indexOf('\n')),
  text,
  blocks: [...text.matchAll(/^```(\w*)\n([^]*?)^```/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  })),
}))

const sectionOf = (title: string) => sections.find((section) => section.title === title)!

const done = new Set<string>()

/** The block of a section, counted from 0, of those of its language. */
const block = (title: string, language: string, index = 0) => {
  const { code } = sectionOf(title).blocks.filter((one) => one.language === language)[index]!
  done.add(code)
  return code
}

const machine = mkdtempSync(join(tmpdir(), 'or3-e2e-operating-'))
const place = (path: string) => join(machine, path)
const database = place('data/or3-sync.db')
for (const folder of ['etc', 'tmp', 'srv']) mkdirSync(place(folder))

let consumer: string
let host: string
let port: number
let server: Server

/** The same text, with paths and addresses that are this machine's. */
const here = (text: string) =>
  text
    .replaceAll(/(?<![\w.])\/(data|backup|etc|tmp|srv)\b/g, `${machine}/$1`)
    .replaceAll('localhost:3000', `127.0.0.1:${port}`)

/** Litestream itself: the package's command is a script, which would not pass on how it is ended. */
const litestream = dirname(
  createRequire(import.meta.url).resolve(
    `@flydotio/litestream-${process.platform}-${process.arch}/package.json`,
  ),
)

const environment = (installed = consumer): Env => ({
  PATH: [join(installed, 'node_modules/.bin'), litestream, process.env.PATH].join(delimiter),
})

/**
 * Runs a block in a shell, after the one that says where the database is. Gives all that it said. What `npx` does, `command.test.ts`
 * shows; without it a command takes half the time.
 */
const shell = (code: string, installed?: string) => {
  const script = `${block('', 'bash')}${code}`.replaceAll('npx or3-sqlite', 'or3-sqlite')
  return run('bash', ['-euo', 'pipefail', '-c', here(script)], { env: environment(installed), all: true })
}

/** What the unit of the guide sets, on this machine. */
const unit = (name: string) =>
  [...block('The first evening', 'ini').matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) =>
    here(value!),
  )

const serve = async (env: Env = {}) => {
  const own = Object.fromEntries(unit('Environment').map((line) => line.split('=') as [string, string]))
  expect(own).toMatchObject({ OR3_SQLITE_DB_PATH: database, PORT: '3000' })
  server = await startServer({ ...own, PORT: `${port}`, ...env })
}

/** What the server had to say besides its news. */
const stopped = async (signal?: NodeJS.Signals) => (await server.stop(signal)).stderr

/** The same after each start, as devices know it. */
const url = () => `http://127.0.0.1:${port}`

beforeAll(async () => {
  await builtHost()
  // Which has the client of Turso installed.
  host = join(dirname((await builtHost('later')).output), '../project')
  consumer = await plainConsumer()
  symlinkSync(consumer, place('srv/or3'))
  port = await freePort()
})

afterAll(() => {
  killServers()
  rmSync(machine, { recursive: true, force: true })
})

let laptop: SyncingDevice
let phone: SyncingDevice

const payloadsOf = (live: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(live).map(([key, row]) => [key, (row as { payload: unknown }).payload]))

/** What devices had when Litestream had copied all of it. */
let copied: Record<string, unknown>

const synchronise = async () => {
  for (let round = 0; round < 2; round++) for (const device of [laptop, phone]) await device.synchronise()
}

const versionOf = (file: string) => {
  const sqlite = new Sqlite(file, { readonly: true })
  const version = sqlite.prepare<[], number>('SELECT max(value) FROM server_version_counter').pluck().get()!
  sqlite.close()
  return version
}

/** A device that comes now, and what it is given. */
const fresh = async () => {
  const tablet = await SyncingDevice.signIn(url(), 'ada', 'tablet')
  await tablet.pull()
  return tablet.live()
}

describe.sequential('the guide for operators', () => {
  it('leads through the first evening', async () => {
    const said = await shell(block('The first evening', 'bash'))
    expect(newsIn(said.replaceAll(/^/gm, ''))).toEqual([])
    expect(said).toContain('up to date')
    for (const folder of ['data', 'backup']) expect(statSync(place(folder)).mode & 0o777).toBe(0o700)
    expect(unit('ExecStart')).toEqual(['node .output/server/index.mjs'])
    await serve()
    laptop = await SyncingDevice.signIn(url(), 'ada', 'laptop')
    phone = await SyncingDevice.signIn(url(), 'ada', 'phone')
    const { id } = laptop.http.session.user
    expect(await shell(block('The first evening', 'bash', 1).replace('USER_ID', id))).toBe(
      `${id}  -  "ada"\n${id} administers the deployment\n${id}  -  "ada"\n`,
    )
  })

  it('says how a health answer is had', async () => {
    const config = block('Health', 'ts')
    const [setting] = /health: '\S+'/.exec(config)!
    expect(readFileSync(join(root, 'playground/nuxt.config.ts'), 'utf8')).toContain(setting)
    expect(await shell(block('Health', 'bash'))).toBe('{"status":"ok"}')
  })

  it('makes backups of each night, and removes old ones', async () => {
    laptop.put('messages', 'saved', { text: 'first' })
    await synchronise()
    const old = place('backup/or3-sync-2020-01-01.db')
    writeFileSync(old, '')
    utimesSync(old, 1e9, 1e9)
    // As cron does: a per cent sign is what it would end the command at.
    const [, line] = /^17 3 \* \* \* (.*)$/m.exec(block('Backups', ''))!
    expect(line).not.toMatch(/[^\\]%/)
    for (const night of [block('Backups', 'bash'), line!.replaceAll('\\%', '%')])
      expect(await shell(night)).toContain('checked')
    expect(readdirSync(place('backup'))).toEqual([expect.stringMatching(/^or3-sync-\d{4}-\d\d-\d\d\.db$/)])
  })

  it('has a drill that touches nothing', async () => {
    const before = statSync(database)
    const said = await shell(block('Restore drill', 'bash'))
    expect(said).toContain('all hold')
    expect(said).toContain('1 message')
    expect(statSync(database)).toMatchObject({ ino: before.ino, size: before.size })
    expect(readdirSync(place('tmp'))).toEqual([])
  })

  it('restores in earnest: devices agree again on all that the backup has', async () => {
    phone.put('messages', 'saved', { text: 'later' })
    laptop.put('messages', 'lost', { text: 'never in a backup' })
    await synchronise()
    await expect(shell(block('Restore drill', 'bash', 1))).rejects.toThrow(/ended with 1\n[^]*stop/)
    await stopped()
    expect(await shell(block('Restore drill', 'bash', 1))).toContain('restored from')
    expect(readdirSync(place('data')).filter((name) => name.includes('.before-restore-'))).toHaveLength(1)
    await serve()
    await synchronise()
    const known = await fresh()
    expect(known).toMatchObject({ 'messages/saved': { payload: { text: 'first' } } })
    for (const device of [laptop, phone]) {
      expect(device.live()).toMatchObject(known)
      // What the server does not know, devices keep.
      expect(Object.keys(device.live()).sort()).toEqual(['messages/lost', 'messages/saved'])
    }
    expect(await stopped()).toContain('the database seems to be a restored backup')
  })

  it('has Litestream copy all the time, which gets on with the server’s checkpoints', async () => {
    writeFileSync(place('etc/litestream.yml'), here(block('Backups', 'yaml')))
    const copying = start('bash', ['-c', here(`exec ${block('Backups', 'bash', 1)}`)], {
      cwd: machine,
      env: environment(),
    })
    const copies = place('backup/litestream/generations')
    while (!existsSync(copies)) await sleep(50)
    await expect(shell(block('Restore drill', 'bash', 1))).rejects.toThrow(/ended with 1\n[^]*litestream/)
    // Rounds of collection empty the log, which must not take from Litestream what it has not copied.
    await serve({ OR3_SQLITE_GC_INTERVAL: '1 second' })
    // Enough for the thread of checkpoints to begin, and for both to checkpoint several times.
    const text = 'x'.repeat(1_500)
    for (let round = 0; round < 50; round++) {
      for (let n = 0; n < 100; n++) laptop.put('messages', `m${(round * 37 + n) % 400}`, { round, text })
      await laptop.push()
    }
    await synchronise()
    expect(statSync(`${database}-wal`).size).toBeLessThan(100e6)

    /** What a restore from the copies has by now. */
    const versionCopied = async () => {
      await shell('litestream restore -config /etc/litestream.yml -o /tmp/copy.db /data/or3-sync.db')
      const version = versionOf(place('tmp/copy.db'))
      rmSync(place('tmp/copy.db'))
      return version
    }
    const written = versionOf(database)
    while ((await versionCopied()) < written) await sleep(200)
    // One that it had lost sight of would have made it begin again.
    expect(readdirSync(copies)).toHaveLength(1)

    copied = payloadsOf(laptop.live())
    copying.child.kill('SIGKILL')
    await copying.ended
    laptop.put('messages', 'm1', { text: 'after the last copy' })
    laptop.put('messages', 'unseen', { text: 'after the last copy' })
    await synchronise()
    expect(await stopped('SIGKILL')).not.toContain('checkpoints')
  })

  it('brings a new machine to where the last copy was, and devices agree again', async () => {
    rmSync(place('data'), { recursive: true })
    const said = await shell(block('Restore drill', 'bash', 2))
    expect(said).toContain('assumes the most')
    expect(said).toMatch(/restored from .*, 1 workspace, /)
    expect(readdirSync(place('data')).sort()).toEqual(['or3-sync.db', 'or3-sync.db-seen'])
    expect(readdirSync(place('backup')).filter((name) => name.startsWith('replica'))).toEqual([])
    await serve()
    await synchronise()
    const known = await fresh()
    // All that was copied, and nothing that was not.
    const { 'messages/lost': _never, ...expected } = copied
    expect(payloadsOf(known)).toEqual(expected)
    expect(payloadsOf(phone.live())).toMatchObject({ ...expected, 'messages/unseen': {} })
    for (const device of [laptop, phone]) expect(device.live()).toMatchObject(known)
    laptop.put('messages', 'm1', { text: 'goes on' })
    await synchronise()
    expect(phone.live()).toMatchObject({ 'messages/m1': { payload: { text: 'goes on' } } })
    expect(await stopped()).toContain('the database seems to be a restored backup')
  })

  it('upgrades a database of an earlier release, and goes back', async () => {
    await downgrade(database, 7)
    const said = await shell(block('Upgrading', 'bash'))
    expect(said).toContain('checked; schema 007_device_owners')
    expect(said).toContain('008_people')
    await serve()
    await laptop.synchronise()
    await stopped()
    expect(await shell('npx or3-sqlite status')).toContain('up to date')
    expect(await shell(block('Upgrading', 'bash', 1))).toContain('the next start applies 008_people')
    expect(await shell('npx or3-sqlite status')).toContain('007_device_owners; pending')
  })

  it('erases who leaves, and what was removed, to the last byte', async () => {
    await serve()
    const eve = await SyncingDevice.signIn(url(), 'eve', 'eves')
    eve.put('messages', 'secret', { text: 'what nobody shall read again' })
    await eve.push()
    const removed = (
      await laptop.http.call<{ workspaceId: string }>('POST', '/api/workspaces', {
        name: 'A plan of ada',
      })
    ).body.workspaceId
    expect((await laptop.http.call('DELETE', `/api/workspaces/${removed}`)).status).toBe(200)
    const isThere = (text: string) => readFileSync(database).includes(text)
    const commands = block('Erasing', 'bash')
      .replaceAll('USER_ID', eve.http.session.user.id)
      .replace('WORKSPACE_ID', removed)
    const said = await shell(commands)
    expect(said).toContain('would take 1 workspace')
    expect(said).toContain('is erased')
    await expect(eve.push().then(() => eve.pull())).rejects.toThrow()
    await stopped()
    const texts = ['nobody shall read', 'A plan of ada']
    await shell(block('Erasing', 'bash', 1))
    expect(texts.filter(isThere)).toEqual([])
    // What is ada's is there still.
    expect(isThere('never in a backup') || isThere('goes on')).toBe(true)
  })

  it('moves to Turso and back, and devices go on from where they are', async () => {
    const turso = await startTurso()
    await serve()
    laptop.put('messages', 'moved', { text: 'before' })
    await synchronise()
    const [version, known] = [laptop.cursor, payloadsOf(laptop.live())]
    await stopped()
    const moving = (index: number) =>
      block('Moving', 'bash', index).replaceAll('libsql://or3-sync-ann.turso.io', turso.url)
    expect(await shell(moving(0), host)).toContain('both sides are equal')
    expect(await shell(moving(1), host)).toContain('both sides are equal')
    await turso.stop()
    for (const part of ['', '-seen']) renameSync(place(`data/or3-sync-back.db${part}`), database + part)
    await serve()
    await synchronise()
    expect([laptop.cursor, payloadsOf(phone.live())]).toEqual([version, known])
    phone.put('messages', 'moved', { text: 'after' })
    await synchronise()
    expect(laptop.live()).toMatchObject({ 'messages/moved': { payload: { text: 'after' } } })
    expect(laptop.cursor).toBe(version + 1)
    expect(await stopped()).toBe('')
    await shell(block('Moving', 'bash', 2))
    expect(readFileSync(place('backup/d1.sql'), 'utf8')).toContain('INSERT INTO change_log')
  })

  it('names numbers that there are', async () => {
    await serve()
    const said = await shell(block('Numbers to watch', 'bash'))
    const status = JSON.parse(said.slice(0, said.indexOf('\n}') + 2)) as object
    const { text } = sectionOf('Numbers to watch')
    const metrics = readFileSync(join(root, 'src/services/metrics.ts'), 'utf8')
    for (const [, name] of text.matchAll(/`(or3_\w+)`/g)) expect(metrics).toContain(`'${name}'`)
    for (const name of ['walBytes', 'freeBytes', 'bytes', 'slowestDevice']) {
      expect(text).toContain(`\`${name}\``)
      expect(JSON.stringify(status)).toContain(`"${name}":`)
    }
    await stopped()
  })

  it('has all its commands run, and each section says by what', () => {
    // The images need an engine of containers: `container.test.ts` does what they say. What the command prints, `test/cli` knows.
    const run = sections
      .flatMap(({ blocks }) => blocks)
      .filter(({ code, language }) => !code.startsWith('docker ') && language !== 'console')
    expect(run.filter(({ code }) => !done.has(code))).toEqual([])
    for (const { title, text } of sections.filter(({ title }) => title !== '')) {
      const tests = [...text.matchAll(/<!-- (.*) -->/g)].flatMap(([, names]) => names!.split(', '))
      expect(tests, title).not.toEqual([])
      for (const test of tests) expect(existsSync(join(root, test)), test).toBe(true)
    }
  })
})

describe('the lines of the log', () => {
  const files = (folder: string): ReadonlyArray<string> =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, folder, name))
  const sources = [...files('src'), ...files('migrations')].map((file) => readFileSync(file, 'utf8'))

  const [, ...rows] = [...sectionOf('What the log says').text.matchAll(/^\| (.*?) +\| /gm)].slice(1)

  it.each(rows.map(([, line]) => line!))('%s', (line) => {
    for (const [, quoted] of line.matchAll(/`([^`]*)`/g))
      for (const part of quoted!.split('…').map((part) => part.trim()))
        if (part.length > 3)
          expect(
            sources.some((text) => text.includes(part)),
            part,
          ).toBe(true)
  })

  it('are as many as the guide was written for: whoever adds one adds a row', () => {
    const calls = sources.flatMap(
      (text) => text.match(/\b(Effect\.log(Info|Warning|Error)|limitedWarning)\(/g) ?? [],
    )
    expect(calls).toHaveLength(32)
  })
})
