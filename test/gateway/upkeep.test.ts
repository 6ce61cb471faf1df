/**
 * Upkeep inside the server: what a round does, and when rounds run.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@effect/vitest'
import { Duration, Effect, Layer, Logger, Option, TestClock, TestContext } from 'effect'
import type { Connection } from '../../src/layers/synchronous/connection.js'
import { Database } from '../../src/layers/synchronous/Database.js'
import { layer as maintenanceLayer } from '../../src/layers/sql/Maintenance.js'
import { workspaceSql } from '../../src/layers/sql/workspaceSql.js'
import { layerOf } from '../../src/layers/ProviderConfig.js'
import { batchesOn } from '../../src/layers/synchronous/Batches.js'
import { trimChangeLog } from '../../src/layers/sql/retention.js'
import { letOthersGo } from '../../src/layers/time.js'
import { layerSchedule, layer as upkeepLayer } from '../../src/layers/synchronous/Upkeep.js'
import { upkeepRound } from '../../src/layers/upkeepSchedule.js'
import {
  Erasure,
  Invites,
  Maintenance,
  StorageError,
  SyncGateway,
  Upkeep,
  WorkspaceStore,
} from '../../src/services/index.js'
import { del, put, scope } from '../support/ops.js'
import { sqlLayer } from '../support/layerSubjects.js'
import { realTimeUntil, someRealTime } from '../support/realTime.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const services = (dbPath = ':memory:', settings: Parameters<typeof layerOf>[0] = { dbPath }) =>
  Layer.provideMerge(
    Layer.mergeAll(upkeepLayer, Layer.provide(maintenanceLayer, layerOf(settings))),
    sqlLayer(dbPath),
  )

const lines: Array<string> = []
const collectLogs = Logger.replace(
  Logger.defaultLogger,
  Logger.make(({ message }) => {
    lines.push(String(message))
  }),
)

const history = (workspaceId: string) =>
  Effect.gen(function* () {
    const gateway = yield* SyncGateway
    yield* gateway.push({
      ...scope(workspaceId),
      ops: [put(), put({ clock: 2 }), del({ pk: 'x' }), put({ clock: 3 })],
    })
    return gateway.updateCursor({ ...scope(workspaceId), deviceId: 'd', version: 4 })
  })

const logLength = Effect.flatMap(Database, ({ direct }) =>
  direct('test', (connection) => connection.first<{ n: number }>('SELECT count(*) AS n FROM change_log')!.n),
)

describe('upkeep', () => {
  it.scoped('removes invites 30 days after their end, and no others', () =>
    Effect.gen(function* () {
      const [upkeep, invites, store] = [yield* Upkeep, yield* Invites, yield* WorkspaceStore]
      const { userId } = yield* store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
      const { workspaceId } = yield* store.createWorkspace({ userId, name: 'W' })
      const seconds = (days: number) => days * 86_400
      const invite = (tokenHash: string, expiresAt: number) =>
        invites.create({
          workspaceId,
          email: 'a@b.c',
          role: 'viewer',
          invitedByUserId: userId,
          expiresAt,
          tokenHash,
        })
      const kept = Effect.gen(function* () {
        yield* upkeep.tidy
        return (yield* invites.list({ workspaceId, limit: 500 })).map(({ tokenHash }) => tokenHash).sort()
      })
      yield* invite('open', seconds(1_000))
      yield* invite('expires', seconds(10))
      yield* invite('used', seconds(1_000))
      const { inviteId } = yield* invite('revoked', seconds(1_000))
      yield* TestClock.adjust('5 days')
      yield* invites.consume({ workspaceId, email: 'a@b.c', tokenHash: 'used', acceptedUserId: userId })
      yield* TestClock.adjust('1 day')
      yield* invites.revoke({ workspaceId, inviteId, revokedByUserId: userId })
      yield* TestClock.adjust('29 days')
      expect(yield* kept).toEqual(['expires', 'open', 'revoked', 'used'])
      yield* TestClock.adjust('1 second')
      expect(yield* kept).toEqual(['expires', 'open', 'revoked'])
      yield* TestClock.adjust('1 day')
      expect(yield* kept).toEqual(['expires', 'open'])
      yield* TestClock.adjust('4 days')
      expect(yield* kept).toEqual(['open'])
      // More of them than a step takes.
      for (let n = 0; n < 501; n++) yield* invite(`many ${n}`, seconds(41))
      yield* TestClock.adjust('100 days')
      expect(yield* kept).toEqual(['open'])
    }).pipe(Effect.provide(services())),
  )

  it.scoped('collects all workspaces one after another, or the one that is named', () =>
    Effect.gen(function* () {
      const upkeep = yield* Upkeep
      const reports = [yield* history('w1'), yield* history('w2')]
      yield* TestClock.adjust('31 days')
      yield* Effect.all(reports)
      const retention = Duration.days(30)
      expect(yield* upkeep.collect({ retention, workspaceId: 'w2' })).toEqual({
        workspaces: 1,
        entries: 3,
        tombstones: 1,
        opIds: 0,
        cursors: 0,
        purged: 0,
      })
      expect(yield* upkeep.collect({ retention })).toMatchObject({ workspaces: 2, entries: 3, tombstones: 1 })
      expect(yield* upkeep.collect({ retention })).toMatchObject({ workspaces: 2, entries: 0, tombstones: 0 })
      expect(yield* logLength).toBe(2)
    }).pipe(Effect.provide(services())),
  )

  it.each([1, 199, 200, 201, 900])('finds the one old tombstone behind %i young ones', (young) =>
    Effect.gen(function* () {
      const [gateway, upkeep, { direct }] = [yield* SyncGateway, yield* Upkeep, yield* Database]
      const ops = Array.from({ length: young + 1 }, (_, n) => del({ id: `op-${n}`, pk: `m${n}` }))
      const { serverVersion } = yield* gateway.push({ ...scope(), ops })
      yield* TestClock.adjust('31 days')
      yield* gateway.updateCursor({ ...scope(), deviceId: 'd', version: serverVersion + 1 })
      // As after a clock that went back, and nothing but tombstones to find.
      yield* direct('test', (connection) => {
        connection.run('UPDATE tombstones SET deleted_at = ? WHERE server_version <= ?', 31 * 86_400, young)
        connection.run('UPDATE change_log SET created_at = ?', 31 * 86_400)
      })
      const retention = Duration.days(30)
      expect(yield* upkeep.collect({ retention })).toMatchObject({ entries: 0, tombstones: 1 })
      expect(yield* upkeep.collect({ retention })).toMatchObject({ entries: 0, tombstones: 0 })
    }).pipe(
      Effect.provide(services()),
      Effect.scoped,
      Effect.provide(TestContext.TestContext),
      Effect.runPromise,
    ),
  )

  it.scoped('goes on past a workspace that is damaged, and tells of the damage without what it says', () =>
    Effect.gen(function* () {
      const upkeep = yield* Upkeep
      const { direct } = yield* Database
      const reports = [yield* history('w1'), yield* history('w2'), yield* history('w3')]
      yield* direct('test', (connection) =>
        connection.run(
          `UPDATE change_log SET payload_json = '{"secret' WHERE workspace_id = 'w2' AND server_version = 1`,
        ),
      )
      yield* TestClock.adjust('31 days')
      yield* Effect.all(reports)
      const failed = yield* Effect.flip(upkeep.collect({ retention: Duration.days(30) }))
      expect(failed).toMatchObject({ _tag: 'StorageError', reason: 'corrupt' })
      expect(JSON.stringify([failed, failed.message, String(failed.cause)])).not.toContain('secret')
      const left = yield* direct('test', (connection) =>
        connection.all('SELECT workspace_id AS id, count(*) AS n FROM change_log GROUP BY 1 ORDER BY 1'),
      )
      expect(left).toEqual([
        { id: 'w1', n: 1 },
        { id: 'w2', n: 4 },
        { id: 'w3', n: 1 },
      ])
    }).pipe(Effect.provide(services())),
  )

  it.scoped('tidies up though a workspace is damaged', () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const damaged = new StorageError({ operation: 'gc change log', reason: 'corrupt' })
      const upkeep = {
        collect: () => Effect.fail(damaged),
        tidy: Effect.sync(() => void done.push('tidied')),
      }
      const maintenance = yield* Maintenance
      yield* upkeepRound({ gcRetention: Duration.days(30), purgeAfter: Option.none() }).pipe(
        Effect.provideService(Upkeep, upkeep),
        Effect.provide(collectLogs),
      )
      expect(done).toEqual(['tidied'])
      expect(yield* maintenance.state).toMatchObject({ state: 'failed', lastError: damaged.message })
    }).pipe(Effect.provide(services())),
  )

  it.scoped('purges what was removed longer ago than it is told, and nothing when it is told nothing', () =>
    Effect.gen(function* () {
      const [upkeep, store, erasure] = [yield* Upkeep, yield* WorkspaceStore, yield* Erasure]
      const { userId } = yield* store.getOrCreateUser({ provider: 'p', providerUserId: 'u' })
      const made = (name: string) => store.createWorkspace({ userId, name })
      const [live, early, late] = [yield* made('live'), yield* made('early'), yield* made('late')]
      yield* store.removeWorkspace({ userId, ...early })
      yield* TestClock.adjust('10 days')
      yield* store.removeWorkspace({ userId, ...late })
      yield* TestClock.adjust('20 days')
      const retention = Duration.days(30)
      expect(yield* upkeep.collect({ retention })).toMatchObject({ purged: 0 })
      const purgeAfter = Duration.days(25)
      expect(yield* upkeep.collect({ retention, purgeAfter })).toMatchObject({ purged: 1 })
      expect(yield* upkeep.collect({ retention, purgeAfter })).toMatchObject({ purged: 0 })
      expect(yield* erasure.previewPurge(early)).toMatchObject({ members: 0 })
      expect(yield* erasure.previewPurge(late)).toMatchObject({ members: 1 })
      expect(yield* store.listWorkspaceIds).toEqual([live.workspaceId])
    }).pipe(Effect.provide(services())),
  )

  it.scoped('removes about a megabyte of payload in one transaction, and all of it in the end', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const database = yield* Database
      const texts = [...Array.from({ length: 30 }, () => 200_000), ...Array.from({ length: 700 }, () => 10)]
      for (const [index, length] of texts.entries()) {
        yield* gateway.push({
          ...scope(),
          ops: [put({ clock: index, payload: { text: 'x'.repeat(length) } })],
        })
      }
      yield* TestClock.adjust('31 days')
      yield* gateway.updateCursor({ ...scope(), deviceId: 'd', version: texts.length })
      const left = (connection: Connection) =>
        connection.first<{ entries: number; bytes: number | null }>(
          'SELECT count(*) AS entries, sum(length(payload_json)) AS bytes FROM change_log',
        )!
      const taken: Array<{ readonly entries: number; readonly bytes: number }> = []
      const counting: Database['Type'] = {
        ...database,
        write: (operation, body, committed) =>
          database.write(
            operation,
            (connection) => {
              const before = left(connection)
              const result = body(connection)
              const after = left(connection)
              if (after.entries < before.entries) {
                taken.push({
                  entries: before.entries - after.entries,
                  bytes: before.bytes! - (after.bytes ?? 0),
                })
              }
              return result
            },
            committed,
          ),
      }
      // The last entry is not below the cursor.
      expect(yield* trimChangeLog(batchesOn(counting), 'w1', 30 * 86_400)).toMatchObject({
        entries: texts.length - 1,
      })
      for (const { entries, bytes } of taken) {
        expect(entries).toBeLessThanOrEqual(500)
        expect(bytes).toBeLessThan(1.25 * 1024 * 1024)
      }
      expect(taken.length).toBeLessThan(9)
      const rest = yield* database.direct('test', left)
      expect(rest.entries).toBe(1)
    }).pipe(Effect.provide(services())),
  )

  it.scoped('ends a step at an entry that has to stay, and then the collection', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const pushed = (count: number) =>
        Effect.forEach(Array.from({ length: count }), () =>
          gateway.push({ ...scope(), ops: [put({ payload: { text: 'x'.repeat(200_000) } })] }),
        )
      yield* pushed(8)
      yield* TestClock.adjust('31 days')
      yield* pushed(3)
      yield* gateway.updateCursor({ ...scope(), deviceId: 'd', version: 11 })
      const upkeep = yield* Upkeep
      expect(yield* upkeep.collect({ retention: Duration.days(30) })).toMatchObject({ entries: 8 })
      expect(yield* logLength).toBe(3)
    }).pipe(Effect.provide(services())),
  )

  const days = (count: number) => `${count} days` as const
  const nothing = { workspaces: 1, entries: 0, tombstones: 0, opIds: 0, cursors: 0, purged: 0 }
  const collected = Effect.flatMap(Upkeep, (upkeep) => upkeep.collect({ retention: Duration.days(30) }))
  const report = (version: number, deviceId = 'd') =>
    Effect.flatMap(SyncGateway, (gateway) => gateway.updateCursor({ ...scope('w1'), deviceId, version }))

  it.scoped('finds whatever can go where there is nothing else, and what cannot go is left', () =>
    Effect.gen(function* () {
      // A log that no device has read, and a tombstone with it.
      const reading = yield* history('w1')
      expect(yield* collected).toEqual(nothing)
      yield* TestClock.adjust(days(31))
      expect(yield* collected).toEqual(nothing)
      // A device that has read the first entry only: below it there is nothing.
      yield* report(1)
      expect(yield* collected).toEqual(nothing)
      // One entry alone.
      yield* report(2)
      expect(yield* collected).toEqual({ ...nothing, entries: 1 })
      expect(yield* collected).toEqual(nothing)
      // The rest of the log, and the tombstone.
      yield* reading
      expect(yield* collected).toEqual({ ...nothing, entries: 2, tombstones: 1 })
      // The ids of ops: the young ones stay.
      yield* TestClock.adjust(days(29))
      yield* report(4)
      expect(yield* collected).toEqual(nothing)
      yield* TestClock.adjust(days(2))
      expect(yield* collected).toEqual({ ...nothing, opIds: 3 })
      // A cursor.
      yield* report(4, 'another')
      yield* TestClock.adjust(days(29))
      yield* report(4)
      expect(yield* collected).toEqual(nothing)
      yield* TestClock.adjust(days(2))
      expect(yield* collected).toEqual({ ...nothing, cursors: 1 })
      expect(yield* collected).toEqual(nothing)
    }).pipe(Effect.provide(services())),
  )

  it.scoped(
    'finds a tombstone where the log is young, and compares with versions as they are after a leap',
    () =>
      Effect.gen(function* () {
        const { direct } = yield* Database
        const inFile = (sql: string) => direct('test', (connection) => connection.run(sql))
        yield* yield* history('w1')
        yield* TestClock.adjust(days(1))
        yield* inFile('UPDATE tombstones SET deleted_at = -3000000')
        expect(yield* collected).toEqual({ ...nothing, tombstones: 1 })
        yield* inFile('UPDATE server_version_counter SET version_offset = 4294967296')
        yield* TestClock.adjust(days(31))
        // The cursor is from before the leap, and heard of too long ago.
        expect(yield* collected).toEqual({ ...nothing, cursors: 1 })
        yield* report(4_294_967_296 + 1)
        expect(yield* collected).toEqual(nothing)
        yield* report(4_294_967_296 + 3)
        expect(yield* collected).toEqual({ ...nothing, entries: 2 })
      }).pipe(Effect.provide(services())),
  )

  it.scoped('lets others go between workspaces, also where there is nothing to remove', () =>
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      for (let index = 0; index < 1_000; index++) {
        yield* gateway.push({ ...scope(`w${index}`), ops: [put()] })
      }
      const upkeep = yield* Upkeep
      let turns = 0
      let ended = false
      const count = () => {
        turns++
        if (!ended) setImmediate(count)
      }
      yield* letOthersGo
      setImmediate(count)
      expect(yield* upkeep.collect({ retention: Duration.days(30) })).toMatchObject({ workspaces: 1_000 })
      ended = true
      expect(turns).toBeGreaterThanOrEqual(10)
    }).pipe(Effect.provide(services())),
  )

  it.scoped(
    'forgets statistics, by which plans for a single user would go through all of them, and makes none',
    () =>
      Effect.gen(function* () {
        const { direct } = yield* Database
        const { tidy } = yield* Upkeep
        const scans = direct('test', (connection) =>
          connection
            .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${workspaceSql.account.sql}`, 'p', 'u')
            .filter(({ detail }) => detail.startsWith('SCAN')),
        )
        const known = direct('test', (connection) => connection.all('SELECT * FROM sqlite_stat1'))
        const tables = direct('test', (connection) =>
          connection.all("SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'"),
        )
        yield* (yield* WorkspaceStore).getOrCreateUser({ provider: 'p', providerUserId: 'u' })
        yield* tidy
        expect(yield* tables).toEqual([])
        yield* direct('test', (connection) => connection.run('ANALYZE'))
        expect(yield* scans).not.toEqual([])
        yield* tidy
        expect(yield* known).toEqual([])
        expect(yield* scans).toEqual([])
      }).pipe(Effect.provide(services())),
  )

  it.scoped('empties the write-ahead log', () => {
    const { folder, remove } = temporaryFolder()
    const file = join(folder, 'test.db')
    return Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sync(remove))
      yield* history('w1')
      expect(statSync(`${file}-wal`).size).toBeGreaterThan(0)
      yield* Effect.flatMap(Upkeep, ({ tidy }) => tidy)
      expect(statSync(`${file}-wal`).size).toBe(0)
    }).pipe(Effect.provide(services(file)))
  })

  const settings = {
    dbPath: ':memory:',
    gcInterval: Option.some(Duration.hours(1)),
    gcRetention: Duration.hours(2),
  }

  it.scoped('runs every interval, logs one line a round, and ends with its scope', () =>
    Effect.gen(function* () {
      lines.length = 0
      const report = yield* history('w1')
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(Layer.provide(layerSchedule, layerOf(settings)))
          yield* TestClock.adjust('4 minutes')
          yield* someRealTime
          expect(lines).toEqual([])
          yield* TestClock.adjust('1 minute')
          yield* realTimeUntil(() => lines.length === 1)
          expect(lines).toEqual([
            'upkeep of 1 workspaces: removed 0 log entries, 0 tombstones and 0 stale cursors',
          ])
          for (const round of [2, 3, 4]) {
            yield* TestClock.adjust('1 hour')
            yield* realTimeUntil(() => lines.length === round)
          }
          yield* report
          yield* TestClock.adjust('1 hour')
          yield* realTimeUntil(() => lines.length === 5)
          expect(lines[4]).toContain('removed 3 log entries, 1 tombstones')
        }),
      )
      const before = lines.length
      yield* TestClock.adjust('5 hours')
      yield* someRealTime
      expect(lines).toHaveLength(before)
    }).pipe(Effect.provide(services()), Effect.provide(collectLogs)),
  )

  it.scoped('is off unless an interval is set', () =>
    Effect.gen(function* () {
      lines.length = 0
      yield* Layer.build(Layer.provide(layerSchedule, layerOf({ dbPath: ':memory:' })))
      yield* TestClock.adjust('365 days')
      yield* someRealTime
      expect(lines).toEqual([])
    }).pipe(Effect.provide(services()), Effect.provide(collectLogs)),
  )

  it.scoped('goes on after a failed round', () => {
    let fail = true
    const flaky = Layer.effect(
      Upkeep,
      Effect.map(Upkeep, (upkeep) => ({
        ...upkeep,
        tidy: Effect.suspend(() =>
          fail ? Effect.fail(new StorageError({ operation: 'upkeep', reason: 'full' })) : upkeep.tidy,
        ),
      })),
    )
    return Effect.gen(function* () {
      lines.length = 0
      yield* Layer.build(Layer.provide(layerSchedule, layerOf(settings)))
      yield* TestClock.adjust('1 hour')
      yield* realTimeUntil(() => lines.length === 1)
      expect(lines[0]).toContain('upkeep failed, and will try again')
      fail = false
      yield* TestClock.adjust('1 hour')
      yield* realTimeUntil(() => lines.length === 2)
      expect(lines[1]).toContain('upkeep of 0 workspaces')
    }).pipe(Effect.provide(Layer.provideMerge(flaky, services())), Effect.provide(collectLogs))
  })
})
