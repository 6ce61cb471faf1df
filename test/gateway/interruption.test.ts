/**
 * Issue 7, point 5: a call that is interrupted, wherever it is, leaves no open transaction, no half batch, and nobody waiting
 * for it.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Exit, Fiber, FiberId, Layer, Logger, ManagedRuntime, Scheduler, Stream } from 'effect'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { stepSize } from '../../src/layers/sql/retention.js'
import { SyncGateway } from '../../src/services/index.js'
import { upTo } from '../support/load.js'
import { del, put, scope } from '../support/ops.js'
import { sqlLayer } from '../support/layerSubjects.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

/** Counts the fiber's steps, and interrupts it at one of them: a scheduler is asked before each step whether to yield. */
const interruptingAt = (point: number) => {
  let steps = 0
  const scheduler: Scheduler.Scheduler = {
    shouldYield: (fiber) => {
      if (steps++ === point) fiber.unsafeInterruptAsFork(FiberId.none)
      return false
    },
    scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber),
  }
  return { scheduler, wasReached: () => steps > point }
}

const open = async (file: string) => {
  const runtime = ManagedRuntime.make(Layer.provide(sqlLayer(file), Logger.remove(Logger.defaultLogger)))
  const gateway = await runtime.runPromise(SyncGateway)
  const other = new Sqlite(file, { timeout: 0 })
  const start = <A, E>(effect: Effect.Effect<A, E>, scheduler?: Scheduler.Scheduler) =>
    runtime.runFork(effect, scheduler === undefined ? {} : { scheduler })
  return {
    gateway,
    other,
    start,
    run: <A, E>(effect: Effect.Effect<A, E>): Promise<A> => runtime.runPromise(effect),
    /** False when the call was through before it came to the point. */
    interruptAt: async (point: number, effect: Effect.Effect<unknown, unknown>): Promise<boolean> => {
      const { scheduler, wasReached } = interruptingAt(point)
      const exit = await runtime.runPromise(Fiber.await(start(effect, scheduler)))
      if (Exit.isFailure(exit)) expect(Exit.isInterrupted(exit)).toBe(true)
      return wasReached()
    },
    /** Throws if a transaction is open on the layer's connection: a write would be locked, a read hold the log. */
    expectIdle: () => {
      other.exec('BEGIN IMMEDIATE; ROLLBACK')
      expect(other.pragma('wal_checkpoint(TRUNCATE)')).toMatchObject([{ busy: 0 }])
    },
    numbers: (sql: string, ...params: ReadonlyArray<unknown>) =>
      other
        .prepare(sql)
        .pluck()
        .all(...params) as ReadonlyArray<number>,
    close: async () => {
      other.close()
      await runtime.dispose()
    },
  }
}

let database: Awaited<ReturnType<typeof open>>
let cleanUp: () => void

beforeEach(async () => {
  const { folder, remove } = temporaryFolder()
  cleanUp = remove
  database = await open(join(folder, 'interruption.db'))
})
afterEach(async () => {
  await database.close()
  cleanUp()
})

/** Puts a new record, deletes one, brings a deleted one back. */
const batch = (name: string, clock: number) => ({
  ...scope(),
  ops: [
    put({ odd: `${name}-new`, pk: name, clock }),
    del({ odd: `${name}-delete`, pk: `odd${clock % 2}`, table: 'threads', clock }),
    put({ odd: `${name}-back`, pk: `odd${(clock + 1) % 2}`, table: 'threads', clock }),
  ],
})

/** How many of a batch's ops are there; the same in every table, and no version was spent on the others. */
const stored = (name: string) => {
  const own = `op_id LIKE '${name}-%'`
  const [logged] = database.numbers(`SELECT count(*) FROM change_log WHERE ${own}`)
  const [rows] = database.numbers(
    `SELECT (SELECT count(*) FROM s_messages WHERE ${own}) + (SELECT count(*) FROM s_threads WHERE ${own})`,
  )
  expect(rows).toBe(logged)
  expect(database.numbers(`SELECT count(*) FROM tombstones WHERE ${own}`)).toEqual([logged === 0 ? 0 : 1])
  expect(database.numbers('SELECT server_version FROM change_log ORDER BY 1')).toEqual(
    upTo(database.numbers('SELECT value FROM server_version_counter')[0] ?? 0),
  )
  return logged!
}

/** Does it for every point until one is behind the end; gives the number of points. */
const forEveryPoint = async (body: (point: number) => Promise<boolean>) => {
  let point = 0
  while (await body(point)) point++
  return point
}

describe('an interrupted call', () => {
  it('that pushes is seen by followers if it is stored, with no other push to wake them', async () => {
    const { gateway, start, run, interruptAt } = database
    let seen = 0
    const follower = start(
      Stream.runForEach(gateway.changes('w1', 0), ({ serverVersion }) =>
        Effect.sync(() => (seen = serverVersion)),
      ),
    )
    await forEveryPoint(async (point) => {
      const reached = await interruptAt(point, gateway.push(batch(`point${point}`, point + 1)))
      const [version] = database.numbers('SELECT value FROM server_version_counter')
      await vi.waitFor(() => expect(seen).toBe(version ?? 0))
      return reached
    })
    expect(seen).toBeGreaterThan(3)
    await run(Fiber.interrupt(follower))
  })

  it('that pushes has stored its batch, or nothing of it', async () => {
    const { gateway, run, interruptAt, expectIdle } = database
    const outcomes = new Set<number>()
    const points = await forEveryPoint(async (point) => {
      const name = `point${point}`
      const request = batch(name, point + 1)
      const reached = await interruptAt(point, gateway.push(request))
      expectIdle()
      const count = stored(name)
      outcomes.add(count)
      // The client does not know, and pushes again.
      const again = await run(gateway.push(request))
      expect(new Set(again.outcomes.map(({ _tag }) => _tag))).toEqual(
        new Set([count === 0 ? 'OpAccepted' : 'OpReplayed']),
      )
      return reached
    })
    expect(points).toBeGreaterThan(10)
    expect(outcomes).toEqual(new Set([0, 3]))
  })

  it('that pulls, reads a snapshot or reports a cursor leaves nothing open', async () => {
    const { gateway, run, interruptAt, expectIdle } = database
    await run(gateway.push(batch('first', 1)))
    const pull = gateway.pull({ ...scope(), cursor: 0, limit: 2 })
    const page = await run(pull)
    const pullPoints = await forEveryPoint(async (point) => {
      const reached = await interruptAt(point, pull)
      expectIdle()
      expect(await run(pull)).toEqual(page)
      return reached
    })
    const snapshot = gateway.snapshot({ ...scope(), pageSize: 2 })
    const { items } = await run(snapshot)
    expect(items.length).toBeGreaterThan(0)
    const snapshotPoints = await forEveryPoint(async (point) => {
      const reached = await interruptAt(point, snapshot)
      expectIdle()
      expect((await run(snapshot)).items).toEqual(items)
      return reached
    })
    const reportPoints = await forEveryPoint(async (point) => {
      const reached = await interruptAt(
        point,
        gateway.updateCursor({ ...scope(), deviceId: 'd1', version: point }),
      )
      expectIdle()
      return reached
    })
    expect(Math.min(pullPoints, snapshotPoints, reportPoints)).toBeGreaterThan(5)
  })

  describe('that collects garbage', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    const retentionSeconds = 60

    /** A workspace with a deleted record, `entries` log entries that are due for collection, and one that is not. */
    const prepare = async (workspaceId: string, entries: number) => {
      const { gateway, run } = database
      const ops = Array.from({ length: entries }, (_, index) =>
        index % 10 === 3 ? del({ pk: `m${index}`, payload: {} }) : put({ pk: `m${index}`, payload: {} }),
      )
      for (let at = 0; at < entries; at += 1_000) {
        await run(gateway.push({ ...scope(workspaceId), ops: ops.slice(at, at + 1_000) }))
      }
      await run(gateway.push({ ...scope(workspaceId), ops: [put({ pk: 'last' })] }))
      vi.setSystemTime(Date.now() + 61_000)
      await run(gateway.updateCursor({ ...scope(workspaceId), deviceId: 'd1', version: entries + 1 }))
    }

    /** The log starts where the memory of trimmed ops ends, and no row of a collected tombstone keeps its payload. */
    const state = (workspaceId: string) => {
      const { numbers } = database
      const [floor] = numbers(
        'SELECT trimmed_version FROM server_version_counter WHERE workspace_id = ?',
        workspaceId,
      )
      const remembered = numbers(
        'SELECT server_version FROM trimmed_ops WHERE workspace_id = ? ORDER BY 1',
        workspaceId,
      )
      const log = numbers(
        'SELECT server_version FROM change_log WHERE workspace_id = ? ORDER BY 1',
        workspaceId,
      )
      expect(remembered).toEqual(upTo(floor!))
      expect([...remembered, ...log]).toEqual(upTo(remembered.length + log.length))
      expect(
        numbers(
          `SELECT server_version FROM s_messages AS r WHERE workspace_id = ? AND deleted = 1 AND data_json IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM tombstones AS t WHERE t.workspace_id = r.workspace_id AND t.pk = r.pk)`,
          workspaceId,
        ),
      ).toEqual([])
      const [tombstones] = numbers('SELECT count(*) FROM tombstones WHERE workspace_id = ?', workspaceId)
      return { floor, tombstones }
    }

    it.each([
      ['in one step', 4],
      ['in several steps', 2 * stepSize + 100],
    ])('%s has done whole steps, and the next collection does the rest', async (_how, entries) => {
      const { gateway, run, interruptAt, expectIdle } = database
      const floors = new Set<number | undefined>()
      const points = await forEveryPoint(async (point) => {
        const workspaceId = `w${point}`
        await prepare(workspaceId, entries)
        const request = { ...scope(workspaceId), retentionSeconds }
        const tombstonesReached = await interruptAt(point, gateway.gcTombstones(request))
        expectIdle()
        state(workspaceId)
        const reached = await interruptAt(point, gateway.gcChangeLog(request))
        expectIdle()
        floors.add(state(workspaceId).floor)
        await run(gateway.gcTombstones(request))
        await run(gateway.gcChangeLog(request))
        expect(state(workspaceId)).toEqual({ floor: entries, tombstones: 0 })
        return tombstonesReached || reached
      })
      expect(points).toBeGreaterThan(10)
      expect(floors.size).toBe(Math.floor(entries / stepSize) + 2)
    })
  })

  it('that waits for a lock ends at once, and those behind it are served', async () => {
    const { gateway, run, start, other, expectIdle } = database
    let applied = 0
    // A poll takes some dozen steps: this is well into the third.
    for (let point = 0; point < 120; point += 3) {
      other.exec('BEGIN IMMEDIATE')
      const requests = ['a', 'b', 'c'].map((name) => batch(`${name}${point}`, 1))
      const { scheduler } = interruptingAt(point)
      const place = (point / 3) % requests.length
      const fibers = requests.map((request, index) =>
        start(gateway.push(request), index === place ? scheduler : undefined),
      )
      // Only the first in line does anything while it waits; the others rest, and are interrupted at rest.
      const atRest = setTimeout(() => fibers[place]!.unsafeInterruptAsFork(FiberId.none), 50)
      const begun = performance.now()
      const exit = await run(Fiber.await(fibers[place]!))
      clearTimeout(atRest)
      expect(Exit.isInterrupted(exit)).toBe(true)
      expect(performance.now() - begun).toBeLessThan(1_000)
      other.exec('ROLLBACK')
      for (const [index, fiber] of fibers.entries()) {
        if (index === place) continue
        expect((await run(Fiber.join(fiber))).outcomes).toHaveLength(3)
        applied += 3
      }
      expectIdle()
      expect(database.numbers('SELECT value FROM server_version_counter')).toEqual([applied])
    }
  })
})
