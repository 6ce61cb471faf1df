/**
 * Keys that the earlier package stored as bytes which are no UTF-8, as text that was cut within an emoji makes them: adopted by this
 * release, or by 0.1 and mended by this one.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { addFileFunctions } from '../../src/layers/operating/fileInvariants.js'
import { invariants } from '../../src/layers/operating/invariants.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { type SyncedTable, syncedTables } from '../../src/services/index.js'
import { allRows, brokenRules, inspect, makeLegacy, opened, query } from '../support/adoption.js'
import { migrateUpTo } from '../support/earlierRelease.js'
import type { LegacyDatabase } from '../support/legacyDatabase.js'
import { opId, put, scope } from '../support/ops.js'
import { pagesOf, whole, wholeChain } from '../support/records.js'
import { deviceFrom, liveOnServer } from '../support/simulatedDevice.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `keys-${++files}.db`)

/** What JavaScript reads of a surrogate that stands alone, stored as three bytes. */
const half = '\ufffd\ufffd\ufffd'

/** What `or3-sqlite check` would find. */
const faults = (path: string) =>
  inspect(path, (database) => {
    addFileFunctions(database)
    return invariants
      .filter(([, sql]) => database.prepare(`${sql} LIMIT 1`).get() !== undefined)
      .map(([rule]) => rule)
  })

/** All keys there are, and whether their bytes are the text that is read. */
const everyKey = [
  'change_log',
  'tombstones',
  ...syncedTables.map((table) => `s_${table}`),
  'renamed_ops',
  'file_records',
].map((table) => `SELECT '${table}' AS place, pk, hex(pk) AS bytes FROM ${table}`)

const oddKeys = (path: string) =>
  query<{ place: string; pk: string; bytes: string }>(
    path,
    [...everyKey, `SELECT 'file_references', source_id, hex(source_id) FROM file_references`].join(
      ' UNION ALL ',
    ),
  ).filter(({ pk, bytes }) => Buffer.from(pk).toString('hex').toUpperCase() !== bytes)

/** Keys and payloads of the live records. */
const live = (path: string, table: SyncedTable) =>
  Object.fromEntries(
    query<{ pk: string; json: string }>(
      path,
      `SELECT pk, data_json AS json FROM s_${table} WHERE deleted = 0 ORDER BY server_version`,
    ).map(({ pk, json }) => [pk, JSON.parse(json) as { readonly n?: number }]),
  )

let versions = 0

interface Record {
  readonly table?: SyncedTable
  readonly pk: string
  readonly clock?: number
  readonly deleted?: boolean
  readonly more?: object
  readonly logged?: boolean
  readonly workspace?: string
}

/** A record with its row and log entry. */
const add = (legacy: LegacyDatabase, record: Record) => {
  const {
    table = 'messages',
    pk,
    clock = 1,
    deleted = false,
    more = {},
    logged = true,
    workspace = 'w1',
  } = record
  const version = ++versions
  const payload = deleted ? undefined : whole(table, pk, { n: version, ...more })
  const op = { table, pk, clock, payload, workspace, id: opId(`old-${version}`) }
  if (logged) legacy.entry({ ...op, version, op: deleted ? 'delete' : 'put' })
  legacy.row({ ...op, deleted })
  if (deleted) legacy.tombstone({ pk, table, version, clock, workspace, hlc: 'a', id: op.id })
  return version
}

const people = (legacy: LegacyDatabase) => {
  versions = 0
  legacy.user('ann')
  legacy.workspace('w1', 'ann')
  legacy.member('w1', 'ann', 'owner')
}

/** The file as this release, or release 0.1 and then this one, adopts it. */
const ways: ReadonlyArray<readonly [string, (path: string) => Promise<void>]> = [
  ['this release', () => Promise.resolve()],
  ['0.1', (path) => migrateUpTo(path, 3)],
]

const snapshotKeys = async (subject: Subject, pageSize: number) => {
  const request = { ...scope(), pageSize }
  for await (const page of pagesOf(subject, request)) expect(page.items.length).toBeLessThanOrEqual(pageSize)
  return (await wholeChain(subject, request)).items.map(({ pk }) => pk)
}

describe.each(ways)('keys that are no UTF-8, adopted by %s', (_who, adopt) => {
  const adopted = async (fill: (legacy: LegacyDatabase) => void) => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      people(legacy)
      fill(legacy)
      legacy.counter(versions)
    })
    await adopt(path)
    await opened(path, () => {})
    expect(oddKeys(path)).toEqual([])
    expect(faults(path)).toEqual([])
    expect(brokenRules(path)).toEqual({})
    return path
  }

  it('become what JavaScript reads, in the row, the log, the tombstone and the index of files', async () => {
    const path = await adopted((legacy) => {
      for (const table of syncedTables) {
        add(legacy, { table, pk: `cut \ud83d`, more: { file_hashes: ['h1'], size_bytes: 5, user_id: 'ann' } })
        add(legacy, { table, pk: `\ude00 gone`, deleted: true, clock: 2 })
        add(legacy, { table, pk: `trimmed \ud83d`, logged: false })
        add(legacy, { table, pk: `whole 😀` })
      }
    })
    const keys = [`cut ${half}`, `${half} gone`, `trimmed ${half}`, 'whole 😀'].sort()
    for (const table of syncedTables) {
      const found = (text: string) =>
        query<{ pk: string }>(path, text)
          .map(({ pk }) => pk)
          .sort()
      expect(found(`SELECT pk FROM s_${table}`)).toEqual(keys)
      expect(found(`SELECT DISTINCT pk FROM change_log WHERE table_name = '${table}'`)).toEqual(
        expect.arrayContaining([keys[0], keys[3]]),
      )
      expect(found(`SELECT pk FROM tombstones WHERE table_name = '${table}'`)).toEqual([`${half} gone`])
    }
    expect(query(path, 'SELECT source_table AS t, source_id AS id FROM file_references ORDER BY 1')).toEqual([
      { t: 'messages', id: `cut ${half}` },
      { t: 'posts', id: `cut ${half}` },
    ])
    expect(query(path, 'SELECT pk, size_bytes AS size FROM file_records WHERE size_bytes > 0')).toEqual([
      { pk: `cut ${half}`, size: 5 },
    ])
  })

  it('that are other bytes than half an emoji are mended too', async () => {
    const path = await adopted((legacy) => {
      add(legacy, { pk: 'plain' })
      const bytes = (...hex: ReadonlyArray<string>) => Buffer.from(hex.join(''), 'hex')
      for (const [n, pk] of [
        bytes('ff'),
        bytes('61', 'e282'),
        bytes('80'),
        bytes('6100', 'edb08061'),
      ].entries()) {
        legacy.row({ pk: `bytes-${n}`, payload: { n: `bytes-${n}` } })
        legacy.sqlite.prepare('UPDATE s_messages SET id = CAST(? AS TEXT) WHERE id = ?').run(pk, `bytes-${n}`)
      }
    })
    const keys = query<{ pk: string }>(path, 'SELECT pk FROM s_messages').map(({ pk }) => pk)
    expect(keys.sort()).toEqual([
      `a\0${half}a`,
      'a\ufffd',
      'plain',
      '\ufffd',
      expect.stringMatching(/^\ufffd~[0-9a-f]{16}$/),
    ])
  })

  it('that read alike stay two records; the greater revision has the key that devices know', async () => {
    for (const table of ['messages', 'file_meta', 'kv'] as const) {
      const more = { file_hashes: ['h1'], size_bytes: 5 }
      const path = await adopted((legacy) => {
        add(legacy, { table, pk: 'a\ud83d', more, clock: 1 })
        add(legacy, { table, pk: 'a\ud83c', more, clock: 3 })
        add(legacy, { table, pk: 'a\ud83e', more, clock: 2 })
        add(legacy, { table, pk: 'a\ud83f', clock: 1, deleted: true })
        // Elsewhere the key is nobody's.
        add(legacy, { table: 'threads', pk: 'a\ud83d' })
        add(legacy, { table, pk: 'a\ud83d', workspace: 'w2' })
      })
      const w1 = query<{ pk: string; n: number | null }>(
        path,
        `SELECT pk, data_json ->> '$.n' AS n FROM s_${table} WHERE workspace_id = 'w1' ORDER BY server_version`,
      )
      const other = expect.stringMatching(/^a\ufffd{3}~[0-9a-f]{16}$/) as unknown
      expect(w1).toEqual([
        { pk: other, n: 1 },
        { pk: `a${half}`, n: 2 },
        { pk: other, n: 3 },
        { pk: other, n: null },
      ])
      expect(new Set(w1.map(({ pk }) => pk)).size).toBe(4)
      expect(Object.keys(live(path, 'threads'))).toEqual([`a${half}`])
    }
  })

  it('leave a key to the record that has it already, live or deleted', async () => {
    const path = await adopted((legacy) => {
      add(legacy, { pk: 'a\ud83d', clock: 9 })
      add(legacy, { pk: `a${half}` })
      add(legacy, { pk: 'b\ud83d', clock: 9 })
      add(legacy, { pk: `b${half}`, deleted: true })
    })
    const found = live(path, 'messages')
    expect(found[`a${half}`]).toMatchObject({ n: 2 })
    expect(Object.values(found).map(({ n }) => n)).toEqual([1, 2, 3])
    expect(found[`b${half}`]).toBeUndefined()
  })

  it('reach devices that are up to date under the name they are given', async () => {
    const path = makeLegacy(newFile(), 17, (legacy) => {
      people(legacy)
      add(legacy, { pk: 'a\ud83d' })
      add(legacy, { pk: 'a\ud83c', clock: 2 })
      legacy.counter(versions)
    })
    await adopt(path)
    await opened(path, async (subject) => {
      const device = await deviceFrom(subject, 2, 10)
      expect(device.live()).toEqual(await liveOnServer(subject))
      expect(Object.keys(device.live())).toHaveLength(2)
    })
  })

  it('are served in order, each once, by snapshots and pulls', async () => {
    const keys = [
      'a\ud83d',
      'a\ud83c',
      'a\ue000',
      'a\uff21',
      'a\u{1f600}',
      'a',
      `a${half}x`,
      'draft \ud83d',
      '\udc00',
    ]
    const path = await adopted((legacy) => keys.forEach((pk) => add(legacy, { table: 'kv', pk })))
    await opened(path, async (subject) => {
      const { changes } = await subject.pull({ ...scope(), cursor: 0, limit: 100 })
      expect(new Set(changes.map(({ pk }) => pk)).size).toBe(keys.length)
      for (const pageSize of [1, 2, 100]) {
        expect([...(await snapshotKeys(subject, pageSize))].sort()).toEqual(
          changes.map(({ pk }) => pk).sort(),
        )
      }
    })
  })

  it('are pushed to under the key that was served', async () => {
    const path = await adopted((legacy) => {
      add(legacy, { pk: 'm\ud83d', more: { file_hashes: ['h1'] } })
      add(legacy, { table: 'file_meta', pk: 'f\ud83d', more: { size_bytes: 5 } })
    })
    await opened(path, async (subject) => {
      const [message, file] = (await subject.pull({ ...scope(), cursor: 0, limit: 100 })).changes
      const payload = whole('messages', message!.pk, { file_hashes: ['h1', 'h2'] })
      const { verdicts } = await subject.push({
        ...scope(),
        ops: [
          put({ pk: message!.pk, clock: 2, payload }),
          put({
            table: 'file_meta',
            pk: file!.pk,
            clock: 2,
            payload: whole('file_meta', file!.pk, { size_bytes: 7 }),
          }),
        ],
      })
      expect(verdicts.map(({ kind }) => kind)).toEqual(['applied', 'applied'])
      expect(await snapshotKeys(subject, 100)).toEqual([file!.pk, message!.pk])
    })
    expect(query(path, `SELECT count(*) AS n FROM (${allRows})`)).toEqual([{ n: 2 }])
    expect(query(path, 'SELECT used_bytes AS n FROM file_usage')).toEqual([{ n: 7 }])
    expect(faults(path)).toEqual([])
  })

  it('are recognised in a late retry', async () => {
    const path = await adopted((legacy) => {
      add(legacy, { pk: 'm\ud83d' })
      legacy.entry({ version: ++versions, pk: 'n\ud83d', payload: { n: 1 }, id: 'op-odd' })
    })
    await opened(path, async (subject) => {
      const { verdicts } = await subject.push({
        ...scope(),
        ops: [put({ odd: 'op-odd', pk: `n${half}`, payload: { n: 1 }, hlc: 'a', device: 'd1' })],
      })
      expect(verdicts.map(({ kind }) => kind)).toEqual(['replay'])
    })
  })

  it('are given the same names each time', async () => {
    const original = makeLegacy(newFile(), 17, (legacy) => {
      people(legacy)
      for (const pk of ['a\ud83d', 'a\ud83c', 'a\ud83e', `a${half}`, 'b\ud83d']) add(legacy, { pk })
      legacy.counter(versions)
    })
    const found = []
    for (const copy of [newFile(), newFile()]) {
      copyFileSync(original, copy)
      await adopt(copy)
      await opened(copy, () => {})
      found.push(query(copy, `SELECT * FROM (${allRows}) ORDER BY server_version`))
    }
    expect(found[0]).toEqual(found[1])
  })
})

it('no push of ours stores such a key', async () => {
  const path = newFile()
  const { syncGateway, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
  const keys = ['a\ud83d', '\ude00', 'a\ude00\ud83d']
  const ops = syncedTables.flatMap((table) => keys.map((pk) => put({ table, pk })))
  const { results } = await syncGateway.push(undefined, { ...scope(), ops })
  expect(new Set(results.map(({ success }) => success))).toEqual(new Set([false]))
  await close()
  expect(query(path, allRows)).toEqual([])
})
