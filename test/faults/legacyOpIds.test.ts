/**
 * Issue 14, point 2: adopted op ids become UUIDs, today and in files that 0.1 adopted: stable, unique, the same in the log, the
 * row and the tombstone, in the order of the old ones; and a late retry under the old id is still recognised.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { newOpId } from '../../migrations/opIds.js'
import { toPullAnswer } from '../../src/nuxt/answers.js'
import { checkPullAnswer } from '../../src/nuxt/hostChecks.js'
import { isUuid } from '../../src/services/opRules.js'
import { brokenRules, formerQuery, makeLegacy, opened, query } from '../support/adoption.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import type { LegacyDatabase, Shape } from '../support/legacyDatabase.js'
import { leftovers } from '../support/legacyLeftovers.js'
import { del, put, scope } from '../support/ops.js'
import { cases, fc } from '../support/property.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `op-ids-${++files}.db`)

const every = [
  'SELECT workspace_id, op_id FROM change_log',
  'SELECT workspace_id, op_id FROM tombstones',
  ...['threads', 'messages', 'projects', 'posts', 'kv', 'file_meta', 'notifications'].map(
    (table) => `SELECT workspace_id, op_id FROM s_${table}`,
  ),
].join(' UNION ALL ')

const oddIds = (path: string) => query<{ op_id: string }>(path, every).filter(({ op_id }) => !isUuid(op_id))

/** All pages as a host is given them; each passes its checks. */
const servedIds = async (subject: Subject, workspaceId = 'w1') => {
  const found: Array<string> = []
  for (let cursor = 0, more = true; more;) {
    const page = await subject.pull({ ...scope(workspaceId), cursor, limit: 1_000 })
    const answer = toPullAnswer(workspaceId, page)
    checkPullAnswer({ cursor }, answer)
    // What is stored needs no other name.
    expect(answer.changes.map(({ stamp }) => stamp.opId)).toEqual(page.changes.map(({ stamp }) => stamp.opId))
    found.push(...answer.changes.map(({ stamp }) => stamp.opId))
    ;({ nextCursor: cursor, hasMore: more } = page)
  }
  return found
}

const real = '6ba7b810-9dad-41d1-80b4-00c04fd430c8'

/** Entries with and without ids, rows without entries, a delete. */
const fill = (legacy: LegacyDatabase) => {
  legacy.user('ann')
  legacy.workspace('w1', 'ann')
  legacy.member('w1', 'ann', 'owner')
  legacy.entry({ version: 1, pk: 'a', payload: { n: 1 }, id: 'op-1' })
  legacy.entry({ version: 2, pk: 'b', payload: { n: 2 }, id: real })
  legacy.entry({ version: 3, pk: 'c', op: 'delete', id: 'x'.repeat(200), clock: 2 })
  legacy.entry({ version: 4, pk: 'a', payload: { n: 4 }, id: 'op-4', clock: 2 })
  legacy.row({ pk: 'a', payload: { n: 4 }, id: 'op-4', clock: 2 })
  legacy.row({ pk: 'b', payload: { n: 2 }, id: real })
  legacy.row({ pk: 'c', deleted: true, id: 'x'.repeat(200), clock: 2 })
  legacy.row({ pk: 'lost', payload: { n: 'row' }, clock: 3 })
  legacy.counter(4)
}

/** The file as this release, or release 0.1 and then this one, adopts it. */
const ways: ReadonlyArray<readonly [string, (path: string) => Promise<void>]> = [
  ['this release', () => Promise.resolve()],
  ['0.1', (path) => migrateUpTo(path, 3)],
]

describe.each(ways)('adopted by %s', (_who, adopt) => {
  const adopted = async (shape: Shape, make: (legacy: LegacyDatabase) => void) => {
    const path = makeLegacy(newFile(), shape, make)
    await adopt(path)
    await opened(path, () => {})
    return path
  }

  it.each([3, 17] as const)(
    'version %i with every leftover has only UUIDs, and serves each once',
    async (shape) => {
      const path = await adopted(shape, leftovers)
      expect(oddIds(path)).toEqual([])
      expect(brokenRules(path)).toEqual({})
      await opened(path, async (subject) => {
        const ids = await servedIds(subject)
        expect(ids.length).toBeGreaterThan(10)
        expect(new Set(ids).size).toBe(ids.length)
      })
    },
  )

  it.each([3, 17] as const)(
    'version %i keeps UUIDs, and names the others the same each time',
    async (shape) => {
      const original = makeLegacy(newFile(), shape, fill)
      const copies = [newFile(), newFile()]
      for (const copy of copies) {
        copyFileSync(original, copy)
        await adopt(copy)
        await opened(copy, () => {})
      }
      const [first, second] = copies.map((path) => query(path, `${every} ORDER BY 1, 2`))
      expect(first).toEqual(second)
      expect(query(copies[0]!, `SELECT pk FROM s_messages WHERE op_id = '${real}'`)).toEqual([{ pk: 'b' }])
    },
  )

  it('recognises a late retry under the old id, and other content under it as a conflict', async () => {
    const path = await adopted(17, fill)
    await opened(path, async (subject) => {
      const device = 'd1'
      const push = (...ops: ReadonlyArray<ReturnType<typeof put>>) => subject.push({ ...scope(), ops })
      const old = put({ odd: 'op-1', pk: 'a', payload: { n: 1 }, hlc: 'a', device })
      const newest = put({ odd: 'op-4', pk: 'a', payload: { n: 4 }, hlc: 'a', clock: 2, device })
      const gone = del({ odd: 'x'.repeat(200), pk: 'c', hlc: 'a', clock: 2, device })
      const known = await push(old, newest, gone)
      expect(known.verdicts.map(({ kind }) => kind)).toEqual(['replay', 'replay', 'replay'])
      expect(known.verdicts.map(({ opId }) => opId)).toEqual(['op-1', 'op-4', 'x'.repeat(200)])
      expect(known.details.map(({ applied }) => applied)).toEqual([false, true, true])
      const taken = await push({ ...old, payload: { n: 9 } }, { ...old, pk: 'elsewhere' })
      expect(taken.verdicts.map(({ kind }) => kind)).toEqual(['conflict', 'conflict'])

      // And when the log is trimmed.
      await subject.updateCursor({ ...scope(), deviceId: 'd1', version: 100 + 2 ** 40 })
      await subject.gcChangeLog({ ...scope(), retentionSeconds: 365 * 86_400 })
      const { verdicts } = await push(old, newest, { ...old, payload: { n: 9 } })
      expect(verdicts.map(({ kind }) => kind)).toEqual(['replay', 'replay', 'conflict'])
      const { rows } = await subject.view('w1')
      expect(rows.filter(({ opId }) => !isUuid(opId))).toEqual([])
    })
    expect(oddIds(path)).toEqual([])
    expect(brokenRules(path)).toMatchObject({})
  })

  it('lets the same one of several ops with an equal clock and hlc stand as before', async () => {
    const path = await adopted(17, (legacy) => {
      const ids = ['op-2', 'op-10', 'op-1', real, '~', '0', 'op-3', 'A']
      for (const [n, id] of ids.entries())
        legacy.entry({ version: n + 1, pk: 'a', payload: { n }, id, hlc: 'x' })
      legacy.counter(ids.length)
    })
    const log = query<{ op_id: string; server_version: number }>(
      path,
      'SELECT * FROM change_log ORDER BY op_id',
    )
    const former = formerQuery<{ op_id: string; server_version: number }>(
      path,
      'SELECT * FROM change_log ORDER BY server_version',
    )
    const byFormer = former.sort((a, b) => (a.op_id < b.op_id ? -1 : 1))
    expect(log.map(({ server_version }) => server_version)).toEqual(
      byFormer.map(({ server_version }) => server_version),
    )
    expect(query(path, 'SELECT server_version AS v FROM s_messages')).toEqual([{ v: 5 }])
    expect(brokenRules(path)).toEqual({})
  })

  it('gives rows that share an id one each', async () => {
    const path = await adopted(17, (legacy) => {
      for (const pk of ['a', 'b', 'c']) legacy.row({ pk, payload: { pk }, id: real })
      for (const pk of ['d', 'e']) legacy.row({ pk, payload: { pk }, id: 'op-1' })
      legacy.entry({ version: 10, pk: 'z', payload: {}, id: 'z' })
      legacy.counter(10)
    })
    await opened(path, async (subject) => {
      const ids = await servedIds(subject)
      expect(ids).toHaveLength(6)
      expect(new Set(ids).size).toBe(6)
    })
  })
})

describe('the name of an adopted op', () => {
  const id = fc.oneof(
    fc.uuid(),
    fc.stringMatching(/^[\x20-\x7e]{1,20}$/),
    fc.stringMatching(/^[0-9a-f]{1,9}-?[0-9a-f~!A]{0,5}$/),
  )

  it('is a UUID, and compares as the old one did, with other names and with UUIDs', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        fc.pre(a !== b)
        const [less, more] = a < b ? [a, b] : [b, a]
        const names = [less, more].map((old, place) => newOpId(['w1', old], old, place))
        for (const name of names) expect(isUuid(name)).toBe(true)
        expect(names[0]! < names[1]!).toBe(true)
        const beside = (uuid: string, old: string, name: string) => {
          // But for UUIDs that begin as it does: one of 2 ** 48.
          if (isUuid(uuid) && uuid.slice(0, 13) !== name.slice(0, 13)) expect(uuid < name).toBe(uuid < old)
        }
        beside(less, more, names[1]!)
        beside(more, less, names[0]!)
      }),
      cases(2_000),
    )
  })
})
