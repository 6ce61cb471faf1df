/**
 * What others do between the steps of a collection: what was found is taken only while nothing stands against it.
 */
import { Effect, Either, Layer, Logger } from 'effect'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Batches } from '../../src/layers/sql/Batches.js'
import { SyncGateway } from '../../src/services/index.js'
import { batchLayer, committingWith } from '../support/layerSubjects.js'
import { del, put, scope } from '../support/ops.js'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const retentionSeconds = 86_400
const request = { ...scope(), retentionSeconds }

const run = (engine: Batches['Type'], sql: string) =>
  engine.write('test', { statements: [{ sql, params: [] }], read: ([rows]) => Either.right(rows!) })

/** Collects a workspace of six old ops, three of them deletes, that a device has passed; something happens before a step takes what was found. */
const collectedWhile = <A>(
  verb: 'gcChangeLog' | 'gcTombstones',
  happens: (engine: Batches['Type']) => Effect.Effect<unknown, unknown>,
  after: (engine: Batches['Type']) => Effect.Effect<A, unknown>,
) => {
  let steps = 0
  const engine = committingWith((inner) => ({
    write: (operation, batch) =>
      operation.startsWith('gc') && ++steps === 2
        ? Effect.zipRight(Effect.orDie(happens(inner)), inner.write(operation, batch))
        : inner.write(operation, batch),
  }))
  return Effect.gen(function* () {
    const gateway = yield* SyncGateway
    const ops = ['a', 'b', 'c'].flatMap((pk) => [put({ pk }), del({ pk, clock: 2, payload: { id: pk } })])
    yield* gateway.push({ ...scope(), ops })
    vi.setSystemTime(Date.now() + 2 * retentionSeconds * 1_000)
    yield* gateway.updateCursor({ ...scope(), deviceId: 'd', version: 7 })
    const report = yield* gateway[verb](request)
    return { report, after: yield* after(yield* Batches) }
  }).pipe(
    Effect.provide(Layer.provide(batchLayer(engine), Logger.remove(Logger.defaultLogger))),
    Effect.runPromise,
  )
}

const now = () => Math.floor(Date.now() / 1_000)

const cursorAt = (version: number) => (engine: Batches['Type']) =>
  run(
    engine,
    `INSERT INTO device_cursors (workspace_id, device_id, last_seen_version, updated_at)
     VALUES ('w1', 'late', ${version}, ${now()})`,
  )

const versions = (engine: Batches['Type']) =>
  Effect.map(run(engine, 'SELECT server_version AS v FROM change_log ORDER BY v'), (rows) =>
    rows.map(({ v }) => v),
  )

const tombstones = (engine: Batches['Type']) =>
  Effect.map(
    run(
      engine,
      `SELECT server_version AS v, (SELECT data_json FROM s_messages AS r WHERE r.server_version = t.server_version) AS json
       FROM tombstones AS t ORDER BY v`,
    ),
    (rows) => rows.map(({ v, json }) => [v, json !== null]),
  )

it('a log stays from where a device has got that reports meanwhile', async () => {
  const { report, after } = await collectedWhile('gcChangeLog', cursorAt(4), versions)
  expect(report).toMatchObject({ entries: 3 })
  expect(after).toEqual([4, 5, 6])
})

it('a log that somebody else trims meanwhile is trimmed once', async () => {
  const trim = (engine: Batches['Type']) =>
    Effect.all([
      run(engine, 'UPDATE server_version_counter SET trimmed_version = 2'),
      run(engine, 'DELETE FROM change_log WHERE server_version <= 2'),
    ])
  const trimmed = (engine: Batches['Type']) => run(engine, 'SELECT count(*) AS ops FROM trimmed_ops')
  const { report, after } = await collectedWhile('gcChangeLog', trim, trimmed)
  expect(report).toMatchObject({ entries: 4 })
  expect(after).toEqual([{ ops: 4 }])
})

it('tombstones and payloads stay from where a device has got that reports meanwhile', async () => {
  const { report, after } = await collectedWhile('gcTombstones', cursorAt(4), tombstones)
  expect(report).toMatchObject({ tombstones: 1 })
  expect(after).toEqual([
    [4, true],
    [6, true],
  ])
})
