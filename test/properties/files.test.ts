/**
 * Files and upload intents under random histories: every layer against the executable specification, answer by answer; and laws
 * that hold whatever happened: no file that a live record names is ever missing, no quota is ever exceeded by reservations.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fileHashesOf } from '../../src/services/fileRules.js'
import { storageKinds, type StorageItem, type StorageKind } from '../../src/services/index.js'
import { fileHashes, hash, spellings } from '../support/filePayloads.js'
import { scanned } from '../support/views.js'
import { del, put, scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import type { Subject } from '../support/subjectType.js'
import { freshWorkspaces, propertySubjects } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

const start = 1_700_000_000

type Command =
  | {
      readonly type: 'push'
      readonly ops: ReadonlyArray<{
        readonly table: string
        readonly pk: string
        readonly clock: number
        readonly payload: object | undefined
      }>
    }
  | {
      readonly type: 'reserve' | 'consume'
      readonly id: keyof typeof usual
      /** Each id has its usual file, so that what is reserved is consumed often enough. */
      readonly isUsual: boolean
      readonly hash: string
      readonly mimeType: string
      readonly size: number
      readonly seconds: number
      readonly quota: number | undefined
    }
  | { readonly type: 'cancel'; readonly id: string }
  | {
      readonly type: 'query'
      readonly kind: StorageKind
      readonly limit: number
      readonly hash: string | undefined
      readonly ago: number | undefined
    }
  | { readonly type: 'collect' }
  | { readonly type: 'tick'; readonly seconds: number }

const key = fc.constantFrom('abc', 'sha256:ABC', 'def', 'x', '😀', '\u{e000}')
const usual = {
  i1: ['abc', 25],
  i2: ['sha256: Abc', 25],
  i3: ['def', 60],
  i4: ['x', 10],
} as const
const id = fc.constantFrom(...(Object.keys(usual) as ReadonlyArray<keyof typeof usual>))

const op = fc.record({
  table: fc.constantFrom('file_meta', 'file_meta', 'messages', 'posts'),
  pk: key,
  clock: fc.constantFrom(1, 2, 3, 4, 5, 6, 7),
  payload: fc.oneof(
    fc.constant(undefined),
    fc.record({ size_bytes: fc.constantFrom<unknown>(0, 10, 25, 60, '9', null), file_hashes: fileHashes }),
  ),
})

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('push' as const), ops: fc.array(op, { maxLength: 4 }) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      type: fc.constantFrom('reserve' as const, 'reserve' as const, 'consume' as const),
      id,
      isUsual: fc.constantFrom(true, true, true, false),
      hash: fc.constantFrom(...spellings.slice(0, 8)),
      mimeType: fc.constantFrom('a/b', 'a/b', 'a/b', 'a/c'),
      size: fc.constantFrom(0, 10, 10, 25, 60, Number.MAX_SAFE_INTEGER),
      seconds: fc.constantFrom(-1, 1, 5, 100),
      quota: fc.constantFrom(100, 100, 60, 0, undefined),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cancel' as const), id }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('query' as const),
      kind: fc.constantFrom(...storageKinds),
      limit: fc.constantFrom(1, 2, 100),
      hash: fc.option(fc.constantFrom(...spellings), { nil: undefined }),
      ago: fc.constantFrom(undefined, undefined, 0, 3, -3),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'collect' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('tick' as const), seconds: fc.constantFrom(1, 4, 99, 90_000) }),
  },
)

/** All pages of a question. */
const everyPage = async (
  subject: Subject,
  query: Omit<Parameters<Subject['files']['query']>[0], 'cursor'>,
) => {
  const pages: Array<ReadonlyArray<StorageItem>> = []
  for (let cursor: string | undefined; ;) {
    const page = await subject.files.query({ ...query, cursor })
    pages.push(page.items)
    cursor = page.nextCursor
    if (!page.hasMore) return pages
  }
}

const perform = async (subject: Subject, command: Command, number: number): Promise<unknown> => {
  const now = Math.floor(Date.now() / 1_000)
  switch (command.type) {
    case 'push':
      return subject.push({
        ...scope(),
        ops: command.ops.map(({ payload, ...parts }, index) => {
          const named = { ...parts, id: `${number}-${index}` }
          return payload === undefined ? del(named) : put({ ...named, payload })
        }),
      })
    case 'reserve':
    case 'consume': {
      const { id: intentId, seconds, quota } = command
      const [ownHash, ownSize] = usual[intentId]
      const file = {
        ...scope(),
        intentId,
        ...(command.isUsual
          ? { hash: ownHash, mimeType: 'a/b', sizeBytes: ownSize }
          : { hash: command.hash, mimeType: command.mimeType, sizeBytes: command.size }),
      }
      return command.type === 'reserve'
        ? subject.files.reserve({ ...file, expiresAt: now + seconds, workspaceQuotaBytes: quota })
        : subject.files.consume({ ...file, storageId: 's' })
    }
    case 'cancel':
      return subject.files.cancel({ ...scope(), intentId: command.id })
    case 'query': {
      const { kind, limit, ago } = command
      return everyPage(subject, {
        ...scope(),
        kind,
        limit,
        hash: command.hash,
        now: ago === undefined ? undefined : now - ago,
      })
    }
    case 'collect':
      await subject.updateCursor({ ...scope(), deviceId: 'd', version: 1_000 })
      return subject.gcTombstones({ ...scope(), retentionSeconds: 1 })
    case 'tick':
      return undefined
  }
}

/** What became of a call: its answer, or the status and words it was refused with. */
const answerOf = (call: Promise<unknown>) =>
  call.catch((error: unknown) => {
    if (error instanceof Refused) return { status: error.status, message: error.message }
    throw error
  })

/** Without the client's own engine, which reads text up to a NUL alone: these payloads have some. */
const subjects = propertySubjects().filter((name) => name !== 'turso file')

describe.each(subjects)('%s', (name) => {
  const [inWorkspaces, inModel] = [freshWorkspaces(name), freshWorkspaces('memory')]

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it(
    'answers and ends as the model does, and knows what a scan would say',
    async () => {
      const seen = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(fc.array(command, { maxLength: 30, size: 'max' }), async (commands) => {
          vi.setSystemTime(start * 1_000)
          await inModel((model) =>
            inWorkspaces(async (subject) => {
              // What is synchronous underneath would else never let the runner's own messages through.
              await turn()
              for (const [number, command] of commands.entries()) {
                if (command.type === 'tick') vi.setSystemTime(Date.now() + command.seconds * 1_000)
                const expected = await answerOf(perform(model, command, number))
                expect(await answerOf(perform(subject, command, number)), JSON.stringify(command)).toEqual(
                  expected,
                )
                const outcome = `${command.type} ${(expected as { status?: number } | undefined)?.status ?? 'ok'}`
                seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
                const view = await subject.view('w1')
                expect(view).toEqual(await model.view('w1'))
                expect(view.files.index).toEqual(scanned(view.rows))
              }
            }),
          )
        }),
        cases(name === 'memory' ? 20 : 60),
      )
      // The generator reaches what matters; else this would prove little.
      if (name === 'memory') return
      const reached = ['reserve ok', 'reserve 400', 'reserve 409', 'reserve 413', 'consume ok', 'consume 409']
      for (const outcome of [...reached, 'cancel ok', 'cancel 409', 'query ok', 'query 400', 'collect ok']) {
        expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(0)
      }
    },
    patience(120_000),
  )

  it(
    'misses no file that a live record names, however odd the payload',
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              table: fc.constantFrom('messages', 'posts'),
              pk: key,
              named: fileHashes,
              wanted: hash,
            }),
            { maxLength: 8 },
          ),
          (records) =>
            inWorkspaces(async (subject) => {
              await turn()
              for (const [index, { table, pk, named, wanted }] of records.entries()) {
                const payload = { file_hashes: Array.isArray(named) ? [...named, wanted] : named }
                await subject.push({ ...scope(), ops: [put({ table, pk, payload, clock: index + 1 })] })
              }
              const { rows } = await subject.view('w1')
              const all = (await everyPage(subject, { ...scope(), kind: 'reference_edges', limit: 3 })).flat()
              for (const { table, pk, payload } of rows) {
                for (const file of fileHashesOf(JSON.stringify(payload))) {
                  const edge = { kind: 'reference', hash: file, sourceTable: table, sourceId: pk }
                  expect(all).toContainEqual(edge)
                  // One that no file can have cannot be asked for.
                  if (file.includes('\0')) continue
                  const { items } = await subject.files.query({
                    ...scope(),
                    kind: 'reference_edges',
                    hash: `x:${file} `,
                  })
                  expect(items).toContainEqual(edge)
                }
              }
            }),
        ),
        cases(name === 'memory' ? 20 : 60),
      ),
    patience(120_000),
  )

  it(
    'never promises more than the quota, whatever is reserved, stored and given up at the same time',
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              hash: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
              size: fc.integer({ min: 0, max: 60 }),
            }),
            { minLength: 2, maxLength: 12 },
          ),
          fc.array(fc.nat(11), { maxLength: 4 }),
          (uploads, given) =>
            inWorkspaces(async (subject) => {
              await turn()
              vi.setSystemTime(start * 1_000)
              const stored = put({ table: 'file_meta', pk: 'a', payload: { hash: 'a', size_bytes: 30 } })
              await subject.push({ ...scope(), ops: [stored] })
              const reserve = ({ hash: named, size }: (typeof uploads)[number], index: number) =>
                subject.files.reserve({
                  ...scope(),
                  ...{ intentId: `${index}`, hash: named, mimeType: 'a/b', sizeBytes: size },
                  ...{ expiresAt: start + 10, workspaceQuotaBytes: 100 },
                })
              await Promise.allSettled([
                ...uploads.map(reserve),
                ...given.map((index) => subject.files.cancel({ ...scope(), intentId: `${index}` })),
              ])
              const held = new Map<string, number>([['a', 30]])
              const { items } = await subject.files.query({ ...scope(), kind: 'active_reservations' })
              for (const item of items) {
                if (item.kind !== 'reservation' || item.hash === 'a') continue
                held.set(item.hash, Math.max(item.sizeBytes, held.get(item.hash) ?? 0))
              }
              expect([...held.values()].reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(100)
            }),
        ),
        cases(name === 'memory' ? 20 : 40),
      ),
    patience(120_000),
  )
})
