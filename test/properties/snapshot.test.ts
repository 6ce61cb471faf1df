/**
 * Laws of snapshots: pages that are bounded, ordered and complete for whatever keys there are; chains that lose nothing, whatever
 * happens between their pages; tokens that grant nothing.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import type { HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import {
  type Caller,
  type PendingOp,
  type SnapshotItem,
  type SyncedTable,
  syncedTables,
} from '../../src/services/index.js'
import { isInstallable } from '../../src/services/requiredFields.js'
import { wins } from '../../src/services/Revision.js'
import { decodeToken, encodeToken } from '../../src/services/snapshotToken.js'
import { hostileKeys } from '../support/hostileKeys.js'
import { del, put, scope } from '../support/ops.js'
import { casesOn, fc, patience } from '../support/property.js'
import { putWhole, wholeChain } from '../support/records.js'
import type { Subject } from '../support/subjectType.js'
import { freshWorkspaces, propertySubjects, withSubject } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

const start = 1_700_000_000_000
const day = 86_400

const keyOf = ({ tableName, pk }: { readonly tableName: string; readonly pk: string }) =>
  `${tableName}\0${pk}`

const callerOf = (userId: string | null): Caller | undefined =>
  userId === null ? undefined : { userId, workspaceId: 'w1' }

const user = fc.constantFrom(null, 'ann', 'bob')

/** Records that a client may install or not, live or deleted, of one user or another. */
const record = fc.record({
  table: fc.constantFrom(...syncedTables),
  kind: fc.constantFrom('row' as const, 'row' as const, 'broken' as const, 'tombstone' as const),
  owner: fc.constantFrom('ann', 'bob'),
})

const opOf = (
  { table, kind, owner }: { table: (typeof syncedTables)[number]; kind: string; owner: string },
  pk: string,
  clock: number,
): ReadonlyArray<PendingOp> => {
  const more = table === 'notifications' ? { user_id: owner } : {}
  switch (kind) {
    case 'row':
      return [putWhole(table, pk, { clock, more })]
    case 'broken':
      return [put({ table, pk, clock, payload: { ...more, deleted: 'no' } })]
    default:
      return [putWhole(table, pk, { clock, more }), del({ table, pk, clock: clock + 1 })]
  }
}

describe.each(propertySubjects())('pages on %s', (name) => {
  const inWorkspaces = freshWorkspaces(name)

  it(
    'are bounded, ordered, complete and free of repeats for hostile keys',
    () =>
      fc.assert(
        fc.asyncProperty(
          hostileKeys(25),
          fc.array(record, { minLength: 25, maxLength: 25 }),
          fc.integer({ min: 1, max: 7 }),
          user,
          fc.option(fc.subarray([...syncedTables], { minLength: 1 }), { nil: undefined }),
          async (keys, records, pageSize, userId, tables) => {
            await inWorkspaces(async (subject) => {
              const chosen = keys.map((pk, index) => ({ pk, ...records[index]! }))
              const ops = chosen.flatMap((each) => opOf(each, each.pk, 1))
              const { verdicts } = await subject.push({ ...scope(), ops })
              expect(verdicts.every(({ kind }) => kind === 'applied')).toBe(true)
              const caller = callerOf(userId)
              const request = { ...scope(), pageSize, caller, tables }
              // The order within and across pages is checked there.
              const { items, pages } = await wholeChain(subject, request)
              const expected = chosen
                .filter(({ table, kind, owner }) => {
                  const isTheirs = table !== 'notifications' || userId === null || owner === userId
                  return (tables?.includes(table) ?? true) && kind !== 'broken' && isTheirs
                })
                .map(({ table, pk, kind }) => `${keyOf({ tableName: table, pk })} ${kind}`)
              expect(items.map((item) => `${keyOf(item)} ${item.kind}`).sort()).toEqual(expected.sort())
              expect(pages).toBe(Math.max(1, Math.ceil(expected.length / pageSize)))
            })
          },
        ),
        casesOn(name, 70),
      ),
    patience(120_000),
  )
})

type Step =
  | {
      readonly type: 'write'
      readonly table: 'kv' | 'notifications'
      readonly pk: string
      readonly isDelete: boolean
      readonly isBroken: boolean
      readonly ageing: number
    }
  | { readonly type: 'page'; readonly chain: number; readonly size: number }
  | { readonly type: 'collect' | 'leap' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      table: fc.constantFrom('kv' as const, 'notifications' as const),
      pk: fc.constantFrom('a', 'b', '\uffff', '\u{1f600}', '\u{1f600}\uffff', 'z'),
      isDelete: fc.boolean(),
      isBroken: fc.nat(5).map((n) => n === 0),
      // An edit may be older than what is there.
      ageing: fc.constantFrom(1, 1, 1, -3),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('page' as const),
      chain: fc.nat(2),
      size: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('collect' as const, 'leap' as const) }) },
)

type View = Awaited<ReturnType<Subject['view']>>

interface Chain {
  /** The rows when it began. */
  readonly before: View
  readonly items: Array<SnapshotItem>
  readonly last: HostSnapshotPage
}

/** Which records were once such as no client could install: they may be missing. */
type Broken = ReadonlySet<string>

/** Installs a chain, pulls what came after its watermark, and compares with the rows. */
const installs = async (subject: Subject, { before, items, last }: Chain, broken: Broken) => {
  const end = await subject.view('w1')
  const inChain = new Map(items.map((item) => [keyOf(item), item]))
  for (const { table, pk, clock, hlc, opId } of before.rows) {
    const key = keyOf({ tableName: table, pk })
    const item = inChain.get(key)
    if (item === undefined) expect(broken.has(key), `${table}/${pk} is missing`).toBe(true)
    // Never in an earlier state than when the chain began.
    else expect(wins({ clock, hlc, opId }, item.revision), `${table}/${pk} is old`).toBe(false)
  }

  const copy = new Map(
    items.map((item) => [
      keyOf(item),
      { revision: item.revision, payload: item.kind === 'row' ? item.payload : undefined },
    ]),
  )
  for (let cursor = last.highWatermark; ;) {
    const { changes, nextCursor, hasMore } = await subject.pull({ ...scope(), cursor, limit: 2 })
    for (const { stamp, op, payload, ...place } of changes) {
      const known = copy.get(keyOf(place))
      if (known !== undefined && !wins(stamp, known.revision)) continue
      copy.set(keyOf(place), { revision: stamp, payload: op === 'put' ? payload : undefined })
    }
    cursor = nextCursor
    if (!hasMore) break
  }
  for (const { table, pk, clock, hlc, opId, deleted, payload } of end.rows) {
    const key = keyOf({ tableName: table, pk })
    const mine = copy.get(key)
    if (mine === undefined) {
      expect(broken.has(key), `${table}/${pk} never came`).toBe(true)
      continue
    }
    // The snapshot leaves a broken winner out, and a loser that comes after the watermark finds nothing to lose to. A client
    // ends there wherever it comes from: it skips broken changes.
    const isLeftOut = !deleted && !isInstallable(table as SyncedTable, payload)
    if (isLeftOut && wins({ clock, hlc, opId }, mine.revision)) continue
    expect(mine.revision).toMatchObject({ clock, hlc, opId })
    expect(mine.payload).toEqual(deleted ? undefined : payload)
  }
  expect(copy.size).toBeLessThanOrEqual(end.rows.length)
}

describe.each(propertySubjects())('chains on %s', (name) => {
  const inWorkspaces = freshWorkspaces(name)

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it(
    'lose nothing, whatever is pushed, deleted, collected or leapt over between their pages',
    () =>
      fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
          vi.setSystemTime(start)
          await inWorkspaces(async (subject) => {
            const chains: Array<Chain | undefined> = [undefined, undefined, undefined]
            const broken = new Set<string>()
            const finished: Array<Chain> = []
            const page = async (index: number, pageSize: number) => {
              const chain = chains[index]
              const before = chain?.before ?? (await subject.view('w1'))
              const request = { ...scope(), pageSize, pageToken: chain?.last.nextPageToken ?? undefined }
              let last: HostSnapshotPage
              try {
                last = await subject.snapshot(request)
              } catch (error) {
                expect(error).toMatchObject({ status: 410 })
                chains[index] = undefined
                return
              }
              checkSnapshotAnswer(request, last, chain?.last)
              const next = { before, items: [...(chain?.items ?? []), ...last.items], last }
              if (last.nextPageToken === null) finished.push(next)
              chains[index] = last.nextPageToken === null ? undefined : next
            }

            let clock = 10
            let floor = 0
            for (const it of steps) {
              vi.setSystemTime(Date.now() + 1_000)
              switch (it.type) {
                case 'write': {
                  const { table, pk, isDelete, isBroken, ageing } = it
                  clock += 1
                  if (isBroken && !isDelete) broken.add(keyOf({ tableName: table, pk }))
                  const parts = { table, pk, clock: clock + ageing }
                  const op = isDelete
                    ? del(parts)
                    : isBroken
                      ? put({ ...parts, payload: { n: clock } })
                      : putWhole(table, pk, { clock: clock + ageing, more: { n: clock } })
                  await subject.push({ ...scope(), ops: [op] })
                  break
                }
                case 'page':
                  await page(it.chain, it.size)
                  break
                case 'collect':
                  vi.setSystemTime(Date.now() + 40 * day * 1_000)
                  await subject.updateCursor({
                    ...scope(),
                    deviceId: 'd',
                    version: (await subject.view('w1')).version,
                  })
                  await subject.gcTombstones({ ...scope(), retentionSeconds: day })
                  await subject.gcChangeLog({ ...scope(), retentionSeconds: day })
                  break
                case 'leap':
                  floor = (await subject.view('w1')).version
                  await subject.pull({ ...scope(), cursor: floor + 1 })
                  break
              }
            }
            for (const index of chains.keys()) {
              do await page(index, 3)
              while (chains[index] !== undefined)
            }
            expect(finished.length).toBeGreaterThanOrEqual(1)
            for (const chain of finished) await installs(subject, chain, broken)
          })
        }),
        casesOn(name, 40),
      ),
    patience(120_000),
  )
})

type Harm =
  | { readonly type: 'cut'; readonly at: number }
  | { readonly type: 'change'; readonly at: number; readonly to: string }
  | { readonly type: 'replace'; readonly by: string }
  | { readonly type: 'binary'; readonly by: Uint8Array }
  | { readonly type: 'forge'; readonly fields: object }

/** What may be done to a token. */
const harm: fc.Arbitrary<Harm> = fc.oneof(
  fc.record({ type: fc.constant('cut' as const), at: fc.nat(600) }),
  fc.record({ type: fc.constant('change' as const), at: fc.nat(600), to: fc.constantFrom(...'AZaz09-_=.é') }),
  fc.record({ type: fc.constant('replace' as const), by: fc.string({ maxLength: 300 }) }),
  fc.record({ type: fc.constant('binary' as const), by: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({
    type: fc.constant('forge' as const),
    fields: fc.record(
      {
        workspaceId: fc.constantFrom('w1', 'w2', ''),
        highWatermark: fc.constantFrom(0, 1, 5, 2 ** 32 + 5, -1, Number.NaN),
        tables: fc.subarray([...syncedTables].sort()),
        after: fc.record({
          tableName: fc.constantFrom(...syncedTables, 'change_log'),
          pk: fc.constantFrom(
            '',
            'a',
            'm',
            '\u{1f600}',
            '\uffff',
            "' OR 1=1 --",
            '\ud800',
            'x'.repeat(1_030),
          ),
        }),
      },
      { requiredKeys: [] },
    ),
  }),
)

const harmed = (token: string, how: Harm): string => {
  switch (how.type) {
    case 'cut':
      return token.slice(0, how.at)
    case 'change':
      return token.slice(0, how.at) + how.to + token.slice(how.at + 1)
    case 'replace':
      return how.by
    case 'binary':
      return Buffer.from(how.by).toString('base64url')
    case 'forge':
      return encodeToken({ ...decodeToken(token)!, ...how.fields })
  }
}

describe.each(propertySubjects())('tokens on %s', (name) => {
  it(
    "that are forged, truncated or foreign show no row of another workspace and no other user's notification",
    () =>
      withSubject(name, async (subject) => {
        const keys = ['a', 'b', 'm', '\u{1f600}', '\uffff']
        const tokens: Array<string> = []
        for (const workspaceId of ['w1', 'w2']) {
          const ops = keys.flatMap((pk) => [
            putWhole('kv', pk, { more: { of: workspaceId } }),
            putWhole('notifications', pk, { more: { user_id: 'bob', of: workspaceId } }),
            putWhole('notifications', `${pk}2`, { more: { user_id: 'ann', of: workspaceId } }),
            putWhole('threads', pk, { more: { of: workspaceId } }),
          ])
          await subject.push({ ...scope(workspaceId), ops })
          for (const tables of [undefined, ['notifications', 'kv']]) {
            let pageToken: string | undefined
            do {
              const page = await subject.snapshot({ ...scope(workspaceId), pageSize: 3, pageToken, tables })
              pageToken = page.nextPageToken ?? undefined
              if (pageToken !== undefined) tokens.push(pageToken)
            } while (pageToken !== undefined)
          }
        }
        const statuses = new Set<number>()
        await fc.assert(
          fc.asyncProperty(
            fc.constantFrom(...tokens),
            fc.option(harm, { freq: 6 }),
            user,
            fc.integer({ min: 1, max: 9 }),
            async (token, how, userId, pageSize) => {
              const pageToken = how === null ? token : harmed(token, how)
              let page: HostSnapshotPage
              try {
                page = await subject.snapshot({ ...scope(), pageSize, pageToken, caller: callerOf(userId) })
              } catch (error) {
                expect(error).toBeInstanceOf(Refused)
                statuses.add((error as Refused).status)
                expect([400, 403, 410]).toContain((error as Refused).status)
                return
              }
              statuses.add(200)
              for (const item of page.items) {
                if (item.kind !== 'row') throw new Error('nothing was deleted')
                expect(item.payload).toMatchObject({ of: 'w1' })
                if (item.tableName === 'notifications' && userId !== null) {
                  expect(item.payload).toMatchObject({ user_id: userId })
                }
              }
            },
          ),
          casesOn(name, 400),
        )
        // Few harms make a token that cannot be continued; `gateway/snapshot.test.ts` has those.
        expect([...statuses]).toEqual(expect.arrayContaining([200, 400, 403]))
      }),
    patience(60_000),
  )
})
