/**
 * A push over batches where a workspace has a past: adopted ids, restored backups, others who write in between. It comes to what
 * the push on SQLite comes to.
 */
import { Effect, Either, Layer, Logger } from 'effect'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Batches } from '../../src/layers/sql/Batches.js'
import { leapSize } from '../../src/services/epochs.js'
import { type OpOutcome, type PendingOp, SyncGateway } from '../../src/services/index.js'
import { batchLayer, committingEngine, committingWith, sqlLayer } from '../support/layerSubjects.js'
import { del, opId, put, scope } from '../support/ops.js'

// An outcome tells when a record was deleted.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const quiet = Logger.remove(Logger.defaultLogger)

const run = (sql: string) =>
  Effect.flatMap(Batches, ({ write }) =>
    write('test', { statements: [{ sql, params: [] }], read: ([rows]) => Either.right(rows!) }),
  )

const push = (ops: ReadonlyArray<PendingOp>, userId?: string) =>
  Effect.flatMap(SyncGateway, (gateway) =>
    gateway.push({
      ...scope(),
      ops,
      ...(userId === undefined ? {} : { caller: { userId, workspaceId: 'w1' } }),
    }),
  )

/** What is stored. */
const stored = Effect.forEach(
  [
    'SELECT server_version, table_name, pk, op, payload_json, clock, hlc, op_id FROM change_log ORDER BY 1',
    'SELECT pk, data_json, clock, hlc, op_id, server_version, deleted FROM s_messages ORDER BY 1',
    'SELECT pk, data_json, clock, hlc, op_id, server_version, deleted, user_id FROM s_notifications ORDER BY 1',
    'SELECT table_name, pk, clock, op_id, server_version FROM tombstones ORDER BY 1, 2',
    'SELECT workspace_id, value, trimmed_version, version_offset, clock_offset, clock_base FROM server_version_counter ORDER BY 1',
  ],
  run,
)

const counter = (id: string, value: number, versions: number, clocks: number) =>
  run(`INSERT INTO server_version_counter (workspace_id, value, version_offset, clock_offset, clock_base)
    VALUES ('${id}', ${value}, ${versions}, ${clocks}, ${clocks})`)

/** As migration 005 leaves an op of an adopted file. */
const renamed = (old: string, table: string, pk: string, now: string) =>
  run(`INSERT INTO renamed_ops (workspace_id, op_id, table_name, pk, new_op_id)
    VALUES ('w1', '${old}', '${table}', '${pk}', '${opId(now)}')`)

const adopted = Effect.zipRight(
  push([put({ id: 'n1', pk: 'm1', clock: 3 }), put({ id: 'n2', pk: 'm2', clock: 3 })]),
  Effect.zipRight(renamed('old 1', 'messages', 'm1', 'n1'), renamed('old 2', 'messages', 'm2', 'n2')),
)

type Scenario = readonly [
  name: string,
  before: Effect.Effect<unknown, unknown, SyncGateway | Batches>,
  ops: ReadonlyArray<PendingOp>,
  userId?: string,
]

const scenarios: ReadonlyArray<Scenario> = [
  [
    'ids that became others, again and beside new ones',
    adopted,
    [
      put({ odd: 'old 1', pk: 'm1', clock: 3 }),
      put({ odd: 'old 2', pk: 'm2', clock: 4 }),
      put({ odd: 'new' }),
    ],
  ],
  ['an id that became another, of another record', adopted, [put({ odd: 'old 1', pk: 'm9', clock: 3 })]],
  [
    'ids that became others, forgotten since',
    Effect.zipRight(adopted, run(`DELETE FROM change_log WHERE server_version < 0`)).pipe(
      Effect.zipRight(run(`UPDATE server_version_counter SET trimmed_version = 2`)),
      Effect.zipRight(run(`DELETE FROM change_log`)),
    ),
    [
      put({ odd: 'old 1', pk: 'm1', clock: 3 }),
      put({ odd: 'old 2', pk: 'm2', clock: 4 }),
      put({ odd: 'new' }),
    ],
  ],
  [
    'an id that became another, superseded since',
    Effect.zipRight(adopted, push([put({ pk: 'm1', clock: 9 })])),
    [put({ odd: 'old 1', pk: 'm1', clock: 3 })],
  ],
  [
    'clocks from before a restored backup and from after it',
    Effect.zipRight(counter('w1', 0, leapSize, leapSize), push([put({ pk: 'm1', clock: leapSize + 5 })])),
    [
      put({ pk: 'm1', clock: 7 }),
      put({ pk: 'm1', clock: 2 }),
      put({ pk: 'm2', clock: leapSize + 1 }),
      del({ pk: 'm2', clock: leapSize + 2 }),
      put({ pk: 'm2', clock: 1 }),
    ],
  ],
  [
    'an op repeated with the clock from before a restored backup',
    Effect.zipRight(counter('w1', 0, leapSize, leapSize), push([put({ id: 'a', clock: leapSize + 5 })])),
    [put({ id: 'a', clock: 5 }), put({ id: 'a', clock: 6 })],
  ],
  ['a workspace that begins after a restore', counter('', 0, 2 * leapSize, leapSize), [put({ clock: 7 })]],
  [
    'payloads that do not go into one list',
    push([put({ pk: 'm0' })]),
    Array.from({ length: 9 }, (_, n) => put({ pk: `m${n}`, payload: { text: `"${'x'.repeat(250_000)}` } })),
  ],
  [
    'a notification that goes from one to another, without a caller',
    push([put({ table: 'notifications', pk: 'n', payload: { user_id: 'u' } })]),
    [
      put({ table: 'notifications', pk: 'n', clock: 2, payload: { user_id: 'v' } }),
      del({ table: 'notifications', pk: 'n', clock: 3 }),
      put({ table: 'notifications', pk: 'o', clock: 2, payload: { user_id: 'v' } }),
    ],
  ],
  [
    'a notification that is deleted without a caller stays its user’s',
    push([put({ table: 'notifications', pk: 'n', payload: { user_id: 'u' } })]),
    [del({ table: 'notifications', pk: 'n', clock: 2 })],
  ],
  [
    "another user's notification beside what is one's own",
    push([put({ table: 'notifications', pk: 'n', payload: { user_id: 'v' } })]),
    [
      put({ pk: 'm1' }),
      del({ table: 'notifications', pk: 'n', clock: 2 }),
      del({ table: 'notifications', pk: 'own', clock: 2 }),
    ],
    'u',
  ],
]

/** Op ids are counted, so both get the same ones. */
const on = (layer: Layer.Layer<SyncGateway | Batches, unknown>, [, before, ops, userId]: Scenario) =>
  Effect.gen(function* () {
    yield* before
    const first = yield* push(ops, userId)
    const again = yield* push(ops, userId)
    return { first, again, stored: yield* stored }
  }).pipe(Effect.provide(Layer.provide(Layer.fresh(layer), quiet)), Effect.runPromise)

it.each(scenarios.map((scenario) => [scenario[0], scenario] as const))(
  '%s: as on SQLite',
  async (_name, scenario) => {
    expect(await on(batchLayer(committingEngine), scenario)).toEqual(await on(sqlLayer(':memory:'), scenario))
  },
)

describe('what others do between the look and the taking', () => {
  /** A batch of a push that has to be decided first. */
  const undecidable = [
    put({ id: 'a', table: 'notifications', pk: 'n', payload: { user_id: 'v' } }),
    del({ id: 'b', table: 'notifications', pk: 'n', clock: 2 }),
    put({ id: 'c', pk: 'm1', clock: 5 }),
  ]

  /** Pushes these ops, while something happens before each time that they are taken. */
  const pushedWhile = (
    happens: (engine: Batches['Type'], time: number) => Effect.Effect<unknown, unknown>,
  ) => {
    let times = 0
    const engine = committingWith((inner) => ({
      write: (operation, batch) =>
        operation === 'push'
          ? Effect.zipRight(Effect.orDie(happens(inner, times++)), inner.write(operation, batch))
          : inner.write(operation, batch),
    }))
    return Effect.gen(function* () {
      const result = yield* Effect.either(push(undecidable))
      return { result, rows: yield* run('SELECT clock, op_id FROM s_messages'), times }
    }).pipe(Effect.provide(Layer.provide(batchLayer(engine), quiet)), Effect.runPromise)
  }

  const change = (engine: Batches['Type'], sql: string) =>
    engine.write('test', { statements: [{ sql, params: [] }], read: () => Either.void })

  const versionsOf = (outcomes: ReadonlyArray<OpOutcome>) =>
    outcomes.map((outcome) => ('serverVersion' in outcome ? outcome.serverVersion : undefined))

  const logged = `INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id,
    op_id, created_at) SELECT 'w1', coalesce(max(server_version), 0) + 1, 'kv', 'k', 'put', '{}', 1, 'h', 'd',
    'other' || count(*), 1 FROM change_log`
  const raised = `INSERT INTO server_version_counter (workspace_id, value) VALUES ('w1', 1)
    ON CONFLICT (workspace_id) DO UPDATE SET value = value + 1`

  const pushOther = (engine: Batches['Type']) =>
    Effect.zipRight(change(engine, logged), change(engine, raised))

  /** Somebody else's op of the same record, which stands by another version each time. */
  const pushSame = (engine: Batches['Type']) =>
    Effect.zipRight(
      pushOther(engine),
      change(
        engine,
        `INSERT INTO s_messages (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted, created_at,
          updated_at) SELECT workspace_id, 'm1', '{}', 9, 'h', 'other', 'd', value, 0, 1, 1 FROM server_version_counter
        WHERE workspace_id = 'w1'
        ON CONFLICT (workspace_id, pk) DO UPDATE SET server_version = excluded.server_version`,
      ),
    )

  it('does not hinder it when they push other records: the versions go on from theirs', async () => {
    const { result, times } = await pushedWhile(pushOther)
    expect(times).toBe(1)
    expect(result).toMatchObject({ _tag: 'Right', right: { serverVersion: 4 } })
    expect(versionsOf(Either.getOrThrow(result).outcomes)).toEqual([2, 3, 4])
  })

  it('is seen when they push the same records', async () => {
    const { result, times } = await pushedWhile((engine, time) =>
      time === 0 ? pushSame(engine) : Effect.void,
    )
    expect(times).toBe(2)
    expect(Either.getOrThrow(result).outcomes).toMatchObject([
      { serverVersion: 2, applied: true },
      { serverVersion: 3, applied: true },
      { serverVersion: 4, applied: false },
    ])
  })

  it.each([
    ['versions', 'version_offset', leapSize, [leapSize + 1, leapSize + 2, leapSize + 3], 5],
    ['clocks', 'clock_base = clock_offset + ' + leapSize + ', clock_offset', leapSize, [1, 2, 3], 5],
  ])('is seen when %s leap', async (_what, column, size, versions, clock) => {
    const { result, rows, times } = await pushedWhile((engine, time) =>
      time === 0
        ? Effect.zipRight(
            change(engine, `INSERT INTO server_version_counter (workspace_id, value) VALUES ('w1', 0)`),
            change(engine, `UPDATE server_version_counter SET ${column} = ${size}`),
          )
        : Effect.void,
    )
    expect(times).toBe(2)
    expect(versionsOf(Either.getOrThrow(result).outcomes)).toEqual(versions)
    expect(rows).toEqual([{ clock, op_id: opId('c') }])
  })

  it('is given up when it never ends, with an error to try again', async () => {
    const { result, rows } = await pushedWhile(pushSame)
    expect(result).toMatchObject({ left: { _tag: 'StorageError', reason: 'busy', isRetryable: true } })
    expect(rows).toEqual([{ clock: 9, op_id: 'other' }])
  })
})
