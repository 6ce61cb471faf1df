/**
 * Issue 5, point 4: sessions are resolved on every request, so identity, default workspace and role cost one indexed query
 * each on the usual path, and write nothing when nothing changed.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger } from 'effect'
import { afterAll, describe, expect, it } from 'vitest'
import type { Connection } from '../../src/layers/synchronous/connection.js'
import * as Batches from '../../src/layers/synchronous/Batches.js'
import * as Engine from '../../src/layers/synchronous/databaseLayer.js'
import { Database } from '../../src/layers/synchronous/Database.js'
import * as IdGenerator from '../../src/layers/IdGenerator.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import { workspaceSql } from '../../src/layers/sql/workspaceSql.js'
import * as Store from '../../src/layers/sql/WorkspaceStore.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { type Identity, WorkspaceStore } from '../../src/services/index.js'
import { openSubject } from '../support/subjects.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

let files = 0
const newFile = () => join(folder, `cost-${++files}.db`)

const identity: Identity = { provider: 'p', providerUserId: 'u', email: 'a@b.c', displayName: 'A' }

interface Statement {
  readonly kind: 'direct' | 'snapshot' | 'write'
  readonly sql: string
}

/** The database, and a list of the statements that are run on it. */
const observed = (statements: Array<Statement>) =>
  Layer.effect(
    Database,
    Effect.map(Database, (inner) => {
      const watch = (
        kind: Statement['kind'],
        { all, first, run, execute, rows, each }: Connection,
      ): Connection => {
        const seen = (sql: string) => (statements.push({ kind, sql }), sql)
        return {
          all: (sql, ...params) => all(seen(sql), ...params),
          first: (sql, ...params) => first(seen(sql), ...params),
          run: (sql, ...params) => run(seen(sql), ...params),
          execute: (sql, params) => execute(seen(sql), params),
          rows: (sql, params) => rows(seen(sql), params),
          each: (sql, ...params) => each(seen(sql), ...params),
        }
      }
      return Database.of({
        ...inner,
        direct: (operation, body) => inner.direct(operation, (c) => body(watch('direct', c))),
        single: (operation, body) => inner.single(operation, (c) => body(watch('direct', c))),
        snapshot: (operation, body) => inner.snapshot(operation, (c) => body(watch('snapshot', c))),
        write: (operation, body) => inner.write(operation, (c) => body(watch('write', c))),
      })
    }),
  )

/** Runs a program on an observed store; `run` gives each call's result and its statements. */
const withObservedStore = <A>(
  program: (
    store: WorkspaceStore['Type'],
    run: <B>(call: Effect.Effect<B, unknown>) => { result: B; statements: ReadonlyArray<Statement> },
  ) => A,
): A => {
  const seen: Array<Statement> = []
  const layer = Store.layer.pipe(
    // Another one than the engine has made, over the database between.
    Layer.provide(Layer.fresh(Batches.layer)),
    Layer.provide(observed(seen)),
    Layer.provide(Engine.layer),
    Layer.provide(Migrator.layer),
    Layer.provide(Config.layerOf({ dbPath: ':memory:' })),
    Layer.provide(IdGenerator.layer),
    Layer.provide(Logger.remove(Logger.defaultLogger)),
  )
  return Effect.runSync(
    Effect.gen(function* () {
      const store = yield* WorkspaceStore
      return program(store, (call) => {
        seen.length = 0
        const result = Effect.runSync(call)
        return { result, statements: [...seen] }
      })
    }).pipe(Effect.provide(layer)),
  )
}

/** A migrated database to ask for plans. */
const planner = async () => {
  const subject = await openSubject('sqlite file')
  const database = new Sqlite(subject.file!, { readonly: true })
  // A new row that others refer to lets SQLite search these, but only while some refer to nothing; plans do not show that.
  database.pragma('foreign_keys = OFF')
  const plan = (sql: string): ReadonlyArray<string> => {
    const statement = database.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    const count = sql.match(/\?/g)?.length ?? 0
    return statement.all(...Array.from({ length: count }, () => 'x')).map(({ detail }) => detail)
  }
  const close = async () => {
    database.close()
    await subject.close()
  }
  return { plan, close }
}

describe('on the usual path', () => {
  const calls = (store: WorkspaceStore['Type'], userId: string, workspaceId: string) => ({
    'the identity look-up': store.getOrCreateUser(identity),
    'the identity look-up that says nothing of the profile': store.getOrCreateUser({
      provider: 'p',
      providerUserId: 'u',
    }),
    'the default workspace': store.getOrCreateDefaultWorkspace(userId),
    'the role look-up': store.getWorkspaceRole({ userId, workspaceId }),
    'the role look-up of a stranger': store.getWorkspaceRole({ userId: 'nobody', workspaceId }),
  })

  const usual = () =>
    withObservedStore((store, run) => {
      const first = run(store.getOrCreateUser(identity))
      const { userId } = first.result
      const { workspaceId } = run(store.getOrCreateDefaultWorkspace(userId)).result
      // The observer observes: a first sign-in does write.
      expect(first.statements.map(({ kind }) => kind)).toContain('write')
      return Object.entries(calls(store, userId, workspaceId)).map(
        ([name, call]) => [name, run(call as Effect.Effect<unknown, unknown>).statements] as const,
      )
    })

  it('each costs one statement, outside of any transaction', () => {
    for (const [name, statements] of usual()) {
      expect(statements, name).toHaveLength(1)
      expect(statements[0]!.kind, name).toBe('direct')
      expect(statements[0]!.sql, name).toMatch(/^\s*SELECT/)
    }
  })

  it('each statement finds its rows by indexes alone, and sorts nothing', async () => {
    const { plan, close } = await planner()
    try {
      for (const [name, [statement]] of usual()) {
        const steps = plan(statement!.sql)
        expect(steps.length, name).toBeGreaterThan(0)
        for (const step of steps)
          expect(step, name).toMatch(/^SEARCH \w+ USING (COVERING )?INDEX \w+ \(.*=\?/)
      }
      expect(plan('SELECT id FROM users WHERE email = ?')).toEqual([expect.stringMatching(/^SCAN/)])
    } finally {
      await close()
    }
  })
})

describe('every statement of the store', () => {
  // No session asks for all workspaces; the host's sweep does, and means all of them.
  const ofSessions = Object.entries(workspaceSql).filter(([name]) => name !== 'allLive')
  it.each(ofSessions)('%s scans no table', async (_name, { sql }) => {
    const { plan, close } = await planner()
    try {
      expect(plan(sql).filter((step) => /^SCAN (?!CONSTANT ROW)/.test(step))).toEqual([])
    } finally {
      await close()
    }
  })
})

describe('a session of a known user', () => {
  /** What SQLite and the file system tell of writes by others. */
  const watching = (file: string) => {
    const other = new Sqlite(file)
    const state = () => ({
      changes: other.pragma('data_version', { simple: true }),
      walSize: statSync(`${file}-wal`).size,
      wal: readFileSync(`${file}-wal`).toString('base64'),
      file: readFileSync(file).toString('base64'),
    })
    return { state, close: () => other.close() }
  }

  const opened = async () => {
    const file = newFile()
    const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
    const { workspaceStore: store } = provider
    const session = async (profile: Partial<Identity> = {}) => {
      const { userId } = await store.getOrCreateUser({ ...identity, ...profile })
      const { workspaceId } = await store.getOrCreateDefaultWorkspace(userId)
      return { userId, workspaceId, role: await store.getWorkspaceRole({ userId, workspaceId }) }
    }
    const first = await session()
    const { state, close: stopWatching } = watching(file)
    const close = async () => {
      stopWatching()
      await provider.close()
    }
    return { store, session, first, state, close }
  }

  it('writes nothing: the file’s change counter, the file and its log stay', async () => {
    const { session, first, state, close } = await opened()
    const before = state()
    for (let i = 0; i < 20; i++) expect(await session()).toEqual(first)
    await Promise.all(Array.from({ length: 20 }, () => session()))
    await session({ email: undefined, displayName: undefined })
    expect(state()).toEqual(before)
    await close()
  })

  it('writes once when the profile changed', async () => {
    const { session, state, close } = await opened()
    const before = state()
    await session({ displayName: 'B' })
    const after = state()
    expect(after.changes).not.toBe(before.changes)
    expect(after.walSize).toBeGreaterThan(before.walSize)
    await session({ displayName: 'B' })
    expect(state()).toEqual(after)
    await close()
  })

  it('writes nothing when it lists workspaces, or is refused', async () => {
    const { store, first, state, close } = await opened()
    const before = state()
    const { userId, workspaceId } = first
    await store.listUserWorkspaces(userId)
    const refused = [
      store.setActiveWorkspace({ userId, workspaceId: 'none' }),
      store.updateWorkspace({ userId: 'nobody', workspaceId, name: 'W' }),
      store.removeWorkspace({ userId: 'nobody', workspaceId }),
      store.createWorkspace({ userId: 'nobody', name: 'W' }),
      store.getOrCreateDefaultWorkspace('nobody'),
      store.getOrCreateUser({ ...identity, email: 'x'.repeat(1_001) }),
    ]
    for (const { status } of await Promise.allSettled(refused)) expect(status).toBe('rejected')
    expect(state()).toEqual(before)
    await close()
  })
})
