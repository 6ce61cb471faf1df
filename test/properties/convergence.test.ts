/**
 * Laws of push and pull that hold for every history.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { PendingOp, SyncChange } from '../../src/services/index.js'
import { wins } from '../../src/services/Revision.js'
import { opPool } from '../support/arbitraries.js'
import { put, scope } from '../support/ops.js'
import { casesOn, fc, patience } from '../support/property.js'
import type { Subject } from '../support/subjectType.js'
import { freshWorkspaces, propertySubjects, withSubject } from '../support/subjects.js'

const size = 10

/** The ops in any order, some of them several times, cut into batches anywhere. */
const schedule = fc
  .record({
    order: fc.shuffledSubarray(
      Array.from({ length: size }, (_, index) => index),
      { minLength: size },
    ),
    repeats: fc.array(fc.record({ slot: fc.nat(size - 1), place: fc.nat(size) }), { maxLength: 6 }),
    cuts: fc.array(fc.nat(size + 6), { maxLength: 5 }),
  })
  .map(({ order, repeats, cuts }) => {
    const slots = [...order]
    for (const { slot, place } of repeats) slots.splice(place, 0, slot)
    const edges = [0, ...cuts.filter((cut) => cut < slots.length).sort((a, b) => a - b), slots.length]
    return edges.slice(1).map((end, index) => slots.slice(edges[index]!, end))
  })

const pushAll = async (
  subject: Subject,
  pool: ReadonlyArray<PendingOp>,
  batches: ReadonlyArray<ReadonlyArray<number>>,
  workspaceId = 'w1',
) => {
  for (const batch of batches) {
    await subject.push({ ...scope(workspaceId), ops: batch.map((slot) => pool[slot]!) })
  }
}

/** Rows and tombstones without what depends on the order of arrival. */
const state = async (subject: Subject, workspaceId = 'w1') => {
  const { rows, tombstones } = await subject.view(workspaceId)
  return {
    rows: rows.map(({ version: _, ...row }) => row),
    tombstones: tombstones.map(({ version: _, ...tombstone }) => tombstone),
  }
}

const pullAll = async (
  subject: Subject,
  cursor: number,
  limits: ReadonlyArray<number>,
  tables?: ReadonlyArray<string>,
) => {
  const changes: Array<SyncChange> = []
  for (let turn = 0; ; turn++) {
    const page = await subject.pull({ ...scope(), cursor, limit: limits[turn % limits.length]!, tables })
    changes.push(...page.changes)
    if (!page.hasMore) return { changes, nextCursor: page.nextCursor }
    expect(page.nextCursor, 'a page with more must advance').toBeGreaterThan(cursor)
    cursor = page.nextCursor
  }
}

/** Every byte of the database, its write-ahead log included. */
const fingerprint = (file: string) => {
  const hash = createHash('sha256')
  for (const path of [file, `${file}-wal`]) if (existsSync(path)) hash.update(readFileSync(path))
  return hash.digest('hex')
}

describe.each(propertySubjects())('laws on %s', (name) => {
  const inWorkspaces = freshWorkspaces(name)

  it(
    'any order, split and duplication of the same ops ends in the same rows and tombstones',
    () =>
      fc.assert(
        fc.asyncProperty(opPool(size), schedule, schedule, async (pool, first, second) => {
          await inWorkspaces(async (subject) => {
            await pushAll(subject, pool, first, 'w1')
            await pushAll(subject, pool, second, 'w2')
            expect(await state(subject, 'w2')).toEqual(await state(subject, 'w1'))
          })
        }),
        casesOn(name, 80),
      ),
    patience(60_000),
  )

  it(
    'a tombstone exists exactly for the rows that are deleted, with their revision; each row holds the greatest revision',
    () =>
      fc.assert(
        fc.asyncProperty(opPool(size), schedule, async (pool, batches) => {
          await inWorkspaces(async (subject) => {
            await pushAll(subject, pool, batches)
            const { rows, tombstones } = await subject.view('w1')
            expect(tombstones).toEqual(
              rows
                .filter(({ deleted }) => deleted)
                .map(({ table, pk, clock, hlc, opId, version }) => ({
                  table,
                  pk,
                  clock,
                  hlc,
                  opId,
                  version,
                })),
            )
            for (const row of rows) {
              const rivals = pool.filter((op) => op.tableName === row.table && op.pk === row.pk)
              expect(rivals.some(({ stamp }) => wins(stamp, row))).toBe(false)
            }
          })
        }),
        casesOn(name, 80),
      ),
    patience(60_000),
  )

  it(
    'versions are 1..n; a replay returns the first version and changes nothing, not a byte of the file',
    () =>
      fc.assert(
        fc.asyncProperty(opPool(size), schedule, schedule, async (pool, batches, again) => {
          // A file of its own: its checkpoints come much later.
          await withSubject(name, async (subject) => {
            await pushAll(subject, pool, batches)
            const { logVersions, ...before } = await subject.view('w1')
            expect(logVersions).toEqual(Array.from({ length: size }, (_, index) => index + 1))
            const { changes } = await pullAll(subject, 0, [100])
            const first = new Map(changes.map(({ stamp, serverVersion }) => [stamp.opId, serverVersion]))
            const bytes = subject.file === undefined ? '' : fingerprint(subject.file)
            for (const batch of again) {
              const ops = batch.map((slot) => pool[slot]!)
              const { verdicts } = await subject.push({ ...scope(), ops })
              expect(verdicts).toEqual(
                ops.map(({ stamp: { opId } }) => ({ kind: 'replay', opId, version: first.get(opId) })),
              )
            }
            expect(await subject.view('w1')).toEqual({ logVersions, ...before })
            if (subject.file !== undefined) expect(fingerprint(subject.file)).toBe(bytes)
          })
        }),
        casesOn(name, 40),
      ),
    patience(60_000),
  )

  it(
    'pull from any cursor, by any paging and filter, gives exactly the suffix of the log',
    () =>
      fc.assert(
        fc.asyncProperty(
          opPool(size),
          schedule,
          fc.nat(size + 2),
          fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
          fc.option(fc.subarray(['messages', 'threads', 'file_meta', 'kv'], { minLength: 1 }), {
            nil: undefined,
          }),
          async (pool, batches, cursor, limits, tables) => {
            await inWorkspaces(async (subject) => {
              await pushAll(subject, pool, batches)
              const whole = (await subject.pull({ ...scope(), cursor: 0, limit: 1_000 })).changes
              expect(whole.map(({ stamp }) => stamp.opId).sort()).toEqual(
                pool.map(({ stamp }) => stamp.opId).sort(),
              )
              const { changes, nextCursor } = await pullAll(subject, cursor, limits, tables)
              expect(changes).toEqual(
                whole.filter(
                  (change) =>
                    change.serverVersion > cursor &&
                    (tables === undefined || tables.includes(change.tableName)),
                ),
              )
              expect(nextCursor).toBe(Math.max(cursor, size))
            })
          },
        ),
        casesOn(name, 80),
      ),
    patience(60_000),
  )

  it(
    'nothing of one workspace is visible in, or influenced by, another',
    () =>
      fc.assert(
        fc.asyncProperty(
          opPool(size),
          opPool(size),
          schedule,
          schedule,
          async (mine, theirs, first, second) => {
            // With nobody beside it, and nobody before it.
            const alone = await withSubject(name, async (subject) => {
              await pushAll(subject, mine, first)
              return subject.view('w1')
            })
            await inWorkspaces(async (subject) => {
              const longest = Math.max(first.length, second.length)
              for (let turn = 0; turn < longest; turn++) {
                await pushAll(subject, theirs, second.slice(turn, turn + 1), 'w2')
                await pushAll(subject, mine, first.slice(turn, turn + 1), 'w1')
                await subject.updateCursor({ ...scope('w2'), deviceId: 'd', version: turn })
                await subject.gcChangeLog({ ...scope('w2'), retentionSeconds: 0.001 })
              }
              expect(await subject.view('w1')).toEqual(alone)
            })
          },
        ),
        casesOn(name, 40),
      ),
    patience(60_000),
  )

  it(
    'every JSON value comes back from pull as it was pushed',
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.dictionary(
              fc.oneof(fc.string({ unit: 'binary' }), fc.string()),
              fc.jsonValue({ maxDepth: 6 }) as fc.Arbitrary<unknown>,
            ),
            { minLength: 1, maxLength: 20 },
          ),
          async (payloads) => {
            await inWorkspaces(async (subject) => {
              const sent = payloads.map((payload) => {
                const { _id, id, workspace_id, ...rest } = payload as Record<string, unknown>
                return rest
              })
              const ops = sent.map((payload, index) => put({ pk: `m${index}`, payload }))
              const { verdicts } = await subject.push({ ...scope(), ops })
              expect(verdicts.every(({ kind }) => kind === 'applied')).toBe(true)
              const { changes } = await subject.pull({ ...scope(), cursor: 0 })
              expect(changes.map(({ payload }) => JSON.stringify(payload))).toEqual(
                sent.map((payload) => JSON.stringify(payload)),
              )
              const { rows } = await subject.view('w1')
              expect(rows).toHaveLength(sent.length)
            })
          },
        ),
        casesOn(name, 80),
      ),
    patience(60_000),
  )
})
