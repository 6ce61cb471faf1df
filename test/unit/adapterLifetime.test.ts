/**
 * The Promise adapters: how the provider closes, and what its services run under from start to end.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import {
  Context,
  DefaultServices,
  Effect,
  FiberRef,
  Layer,
  Logger,
  Metric,
  MetricLabel,
  Scheduler,
  Tracer,
} from 'effect'
import { describe, expect, it, vi } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { ProviderMetrics } from '../../src/services/index.js'
import { everywhere, makeAdapters, statusOf } from '../support/adapterCalls.js'
import { opId, put, scope } from '../support/ops.js'

const { folder, file, provider, statusesFor } = makeAdapters()

const identity = { provider: 'p', providerUserId: 'u' }

describe('close', () => {
  it('refuses later calls of every method with 503', async () => {
    await provider().close()
    expect(await statusesFor({})).toEqual(everywhere(503))
    const { adminStores, ready: _ready, close: _close, ...adapters } = provider()
    const all = {
      ...adapters,
      access: adminStores.createWorkspaceAccessStore(),
      settings: adminStores.createWorkspaceSettingsStore(),
      admins: adminStores.createAdminUserStore(),
    }
    const methods = Object.entries(all).flatMap(([name, adapter]) =>
      Object.entries<unknown>({ ...adapter })
        .filter(([method, value]) => typeof value === 'function' && method !== 'getAbortController')
        .map(
          ([method, call]) =>
            [`${name}.${method}`, call as (...args: ReadonlyArray<unknown>) => Promise<unknown>] as const,
        ),
    )
    expect(methods.length).toBeGreaterThan(80)
    for (const [name, call] of methods) expect(await statusOf(() => call({}, {}, {}, {})), name).toBe(503)
    expect(await statusOf(() => provider().health())).toBe(503)
  })

  it('is no longer well while calls end', async () => {
    expect(await statusOf(() => provider().health())).toBe(200)
    const other = new Sqlite(file())
    other.exec('BEGIN IMMEDIATE')
    const late = provider().syncGateway.push({}, { ...scope(), ops: [put({ id: 'late' })] })
    // Who writes waits; who asks how it is does not.
    expect(await statusOf(() => provider().health())).toBe(200)
    const closing = provider().close()
    expect(await statusOf(() => provider().health())).toBe(503)
    other.exec('ROLLBACK')
    other.close()
    await Promise.all([late, closing])
  })

  it('is not well on a file that is no database any more', async () => {
    const other = new Sqlite(file())
    other.pragma('foreign_keys = OFF')
    other.exec('DROP TABLE effect_sql_migrations')
    other.close()
    expect(await statusOf(() => provider().health())).toBe(500)
  })

  it('refuses calls from the moment it is called', async () => {
    const closing = provider().close()
    expect(await statusOf(() => provider().workspaceStore.listUserWorkspaces('u'))).toBe(503)
    await closing
  })

  it('lets running calls end, and then leaves no -wal file', async () => {
    const other = new Sqlite(file())
    other.exec('BEGIN IMMEDIATE')
    const events: Array<string> = []
    const running = [
      provider().syncGateway.push({}, { ...scope(), ops: [put({ id: 'late' })] }),
      provider().workspaceStore.getOrCreateUser(identity),
    ].map((call) => call.then(() => events.push('call ended')))
    const closing = provider()
      .close()
      .then(() => events.push('closed'))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(events).toEqual([])
    other.exec('ROLLBACK')
    other.close()
    await Promise.all([...running, closing])
    expect(events).toEqual(['call ended', 'call ended', 'closed'])
    for (const suffix of ['-wal', '-shm']) expect(existsSync(file() + suffix)).toBe(false)
    const database = new Sqlite(file(), { readonly: true })
    expect(database.prepare('SELECT op_id FROM change_log').pluck().all()).toEqual([opId('late')])
    database.close()
  })

  it('may be called again, and is done once', async () => {
    await Promise.all([provider().close(), provider().close()])
    await provider().close()
    expect(existsSync(`${file()}-wal`)).toBe(false)
  })
})

describe('what the services run under', () => {
  let files = 0
  const env = () => ({ OR3_SQLITE_DB_PATH: join(folder, `observed-${++files}.db`) })

  it('sees their calls, and ends when they have', async () => {
    const seen: Array<string> = []
    const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)
    const tracer = Tracer.make({
      ...native,
      span: (name, ...rest) => {
        seen.push(name)
        return native.span(name, ...rest)
      },
    })
    const observability = Layer.merge(
      Layer.setTracer(tracer),
      Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => seen.push('end')))),
    )
    const observed = openProvider({ env: env(), observability })
    await observed.syncGateway.push({}, { ...scope(), ops: [put()] })
    await observed.workspaceStore.getOrCreateUser(identity)
    expect(seen).toEqual(expect.arrayContaining(['SyncGateway.push', 'WorkspaceStore.getOrCreateUser']))
    await observed.close()
    expect(seen.at(-1)).toBe('end')
  })

  it('gives them its own scheduler, loggers and labels', async () => {
    const scheduler = new Scheduler.MixedScheduler(2_048)
    const asked = vi.spyOn(scheduler, 'shouldYield')
    const lines: Array<unknown> = []
    const labels = [MetricLabel.make('server', 'labelled')]
    const observability = Layer.mergeAll(
      Layer.setScheduler(scheduler),
      Logger.add(Logger.make(({ message }) => lines.push(message))),
      Layer.scopedDiscard(Effect.locallyScoped(FiberRef.currentMetricLabels, labels)),
    )
    const observed = openProvider({ env: env(), observability })
    await observed.syncGateway.push({}, { ...scope(), ops: [put()] })
    asked.mockClear()
    await observed.syncGateway.pull({}, { ...scope(), cursor: 2 })
    expect(asked).toHaveBeenCalled()
    expect(lines.flat().at(-1)).toContain('a device is ahead of workspace')
    const pulled = ProviderMetrics.calls({ method: 'SyncGateway.pull', outcome: 'ok' })
    const { count } = await Effect.runPromise(Metric.value(Metric.taggedWithLabels(pulled, labels)))
    expect(count).toBe(1)
    await observed.close()
  })

  it('ends as well when the start fails for another reason', () => {
    let ended = false
    const observability = Layer.scopedDiscard(Effect.addFinalizer(() => Effect.sync(() => (ended = true))))
    expect(() => openProvider({ env: { OR3_SQLITE_DB_PATH: folder }, observability })).toThrow('folder')
    expect(ended).toBe(true)
  })

  it('stops the start with its own message when it fails', () => {
    const observability = Layer.fail(new Error('no collector at localhost:4318'))
    expect(() => openProvider({ env: env(), observability })).toThrow('no collector at localhost:4318')
  })
})
