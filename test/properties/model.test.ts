/**
 * Every layer against the executable specification: the same random commands to both, and every answer and the whole state
 * compared after each.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Caller, PendingOp } from '../../src/services/index.js'
import { altered, opPool, readableBy, reordered, tables } from '../support/arbitraries.js'
import { put } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { scanned } from '../support/views.js'
import type { Subject } from '../support/subjectType.js'
import { freshWorkspaces, propertySubjects, withSubject } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

interface Pick {
  readonly slot: number
  readonly as: 'itself' | 'altered' | 'reordered' | 'invalid'
}

type Command =
  | {
      readonly type: 'push'
      readonly workspace: string
      readonly picks: ReadonlyArray<Pick>
      readonly user: string | null
    }
  | {
      readonly type: 'pull'
      readonly workspace: string
      readonly behind: number
      readonly limit: number
      readonly tables: ReadonlyArray<string> | undefined
      readonly user: string | null
    }
  | {
      readonly type: 'snapshot'
      readonly workspace: string
      /** Goes on with this chain if it has begun. */
      readonly chain: number
      readonly size: number
      readonly tables: ReadonlyArray<string> | undefined
      readonly user: string | null
    }
  | {
      readonly type: 'cursor'
      readonly workspace: string
      readonly device: string
      readonly behind: number
      readonly user: string | null
    }
  | { readonly type: 'gcLog' | 'gcTombstones'; readonly workspace: string; readonly retention: number }
  | { readonly type: 'tick'; readonly seconds: number }

const workspace = fc.constantFrom('w1', 'w1', 'w2')
const user = fc.constantFrom(null, null, 'ann', 'bob')
const slots = 14
/** How far below the high watermark; rarely above it, as after a restored backup. */
const behind = fc.oneof(
  { weight: 12, arbitrary: fc.nat(12) },
  { weight: 1, arbitrary: fc.integer({ min: -3, max: -1 }) },
)

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      workspace,
      user,
      picks: fc.array(
        fc.record({
          slot: fc.nat(slots - 1),
          as: fc.constantFrom<Pick['as']>('itself', 'itself', 'itself', 'altered', 'reordered', 'invalid'),
        }),
        { maxLength: 6 },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('pull' as const),
      workspace,
      user,
      behind,
      limit: fc.constantFrom(1, 2, 3, 100),
      tables: fc.option(fc.subarray([...tables, 'unknown']), { nil: undefined }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('snapshot' as const),
      workspace,
      user,
      chain: fc.nat(1),
      size: fc.constantFrom(1, 1, 2, 5),
      tables: fc.option(fc.subarray([...tables, 'unknown']), { nil: undefined, freq: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('cursor' as const),
      workspace,
      device: fc.constantFrom('d1', 'd2', 'd3'),
      behind,
      user,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom('gcLog' as const, 'gcTombstones' as const),
      workspace,
      retention: fc.constantFrom(1, 10, 100, 0.5),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('tick' as const), seconds: fc.constantFrom(1, 5, 11, 150, -7) }),
  },
)

const picked = (pool: ReadonlyArray<PendingOp>, { slot, as }: Pick): PendingOp => {
  const op = pool[slot]!
  switch (as) {
    case 'itself':
      return op
    case 'altered':
      return altered(op)
    case 'reordered':
      return reordered(op)
    case 'invalid':
      return put({ id: op.stamp.opId, pk: '' })
  }
}

const callerIn = (workspaceId: string, userId: string | null): Caller | undefined =>
  userId === null ? undefined : { userId, workspaceId }

/** The tokens of the chains that have begun, of each subject its own: ids differ. */
type Tokens = WeakMap<Subject, Array<string | undefined>>

const snapshotPage = async (
  subject: Subject,
  { workspace, chain, size, tables, user }: Extract<Command, { type: 'snapshot' }>,
  tokens: Tokens,
) => {
  const own = tokens.get(subject) ?? []
  tokens.set(subject, own)
  const pageToken = own[chain]
  own[chain] = undefined
  const request = { scope: { workspaceId: workspace }, caller: callerIn(workspace, user), pageSize: size }
  try {
    const {
      snapshotId: _,
      nextPageToken,
      ...page
    } = await subject.snapshot({ ...request, pageToken, tables })
    own[chain] = nextPageToken ?? undefined
    return { ...page, isLast: nextPageToken === null }
  } catch (error) {
    // The token of another workspace, one from before a leap, or other tables than at the start.
    expect(error).toBeInstanceOf(Refused)
    return { status: (error as Refused).status }
  }
}

const answer = async (
  subject: Subject,
  pool: ReadonlyArray<PendingOp>,
  command: Command,
  watermark: number,
  tokens: Tokens,
): Promise<unknown> => {
  if (command.type === 'tick') return undefined
  const scope = { scope: { workspaceId: command.workspace } }
  const cursor = Math.max(0, watermark - ('behind' in command ? command.behind : 0))
  switch (command.type) {
    case 'push':
      return subject.push({
        ...scope,
        caller: callerIn(command.workspace, command.user),
        ops: command.picks.map((pick) => picked(pool, pick)),
      })
    case 'pull':
      return subject.pull({
        ...scope,
        caller: callerIn(command.workspace, command.user),
        cursor,
        limit: command.limit,
        tables: command.tables,
      })
    case 'snapshot':
      return snapshotPage(subject, command, tokens)
    case 'cursor':
      return subject
        .updateCursor({
          ...scope,
          caller: callerIn(command.workspace, command.user),
          deviceId: command.device,
          version: cursor,
        })
        .catch((error: unknown) => (error instanceof Refused ? error.status : Promise.reject(error)))
    case 'gcLog':
      return subject.gcChangeLog({ ...scope, retentionSeconds: command.retention })
    case 'gcTombstones':
      return subject.gcTombstones({ ...scope, retentionSeconds: command.retention })
  }
}

type InWorkspaces = ReturnType<typeof freshWorkspaces>

/** Runs the commands on both and compares all there is to compare. */
const sameAsModel = (
  inModel: InWorkspaces,
  inTested: InWorkspaces,
  pool: ReadonlyArray<PendingOp>,
  commands: ReadonlyArray<Command>,
) =>
  inModel((model) =>
    inTested(async (subject) => {
      const tokens: Tokens = new WeakMap()
      for (const command of commands) {
        if (command.type === 'tick') vi.setSystemTime(Date.now() + command.seconds * 1_000)
        const watermark = command.type === 'tick' ? 0 : (await model.view(command.workspace)).version
        const expected = await answer(model, pool, command, watermark, tokens)
        expect(await answer(subject, pool, command, watermark, tokens), JSON.stringify(command)).toEqual(
          expected,
        )
        for (const id of ['w1', 'w2']) {
          const view = await subject.view(id)
          expect(view).toEqual(await model.view(id))
          expect(view.files.index).toEqual(scanned(view.rows))
        }
      }
    }),
  )

describe.each(propertySubjects())('%s against the model', (name) => {
  const [inModel, inTested] = [freshWorkspaces('memory'), freshWorkspaces(name)]

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it(
    'answers and ends alike under random commands',
    () =>
      fc.assert(
        fc.asyncProperty(
          readableBy(name, opPool(slots)),
          fc.array(command, { maxLength: 30, size: 'max' }),
          async (pool, commands) => {
            vi.setSystemTime(1_700_000_000_000)
            await sameAsModel(inModel, inTested, pool, commands)
          },
        ),
        cases(name === 'memory' ? 20 : 60),
      ),
    patience(120_000),
  )

  it('fails loudly on a call that breaks a rule, as the model does', () =>
    withSubject(name, async (subject) => {
      await expect(subject.pull({ scope: { workspaceId: '' }, cursor: 0 })).rejects.toBeInstanceOf(Refused)
    }))
})
