/**
 * Background jobs of every layer against the ones in memory: the same random calls by two workers, which crash, under a clock that
 * jumps; and the laws that hold whatever happens.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BackgroundJobProvider, HostJob } from '../../src/nuxt/adapters.js'
import { cases, casesOn, fc, patience } from '../support/property.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { Refused } from '../support/verdicts.js'

type Worker = 0 | 1

/** Jobs are numbers here: the place in which they were made, modulo how many there are. */
type Command =
  | {
      readonly type: 'create'
      readonly user: string
      readonly key: string | undefined
      readonly execution: unknown
    }
  | { readonly type: 'append'; readonly job: number; readonly by: Worker | null; readonly text: string }
  | { readonly type: 'documents'; readonly job: number; readonly by: Worker | null; readonly value: unknown }
  | { readonly type: 'complete' | 'fail'; readonly job: number; readonly by: Worker | null }
  | { readonly type: 'abort'; readonly job: number; readonly user: string }
  | { readonly type: 'claim' | 'renew'; readonly job: number; readonly by: Worker; readonly millis: number }
  | { readonly type: 'claimNext'; readonly by: Worker; readonly millis: number }
  | { readonly type: 'execution'; readonly job: number; readonly by: Worker; readonly value: unknown }
  | { readonly type: 'cleanUp' }
  | { readonly type: 'tick'; readonly millis: number }
  | { readonly type: 'crash'; readonly by: Worker }

const start = 1_700_000_000_000

const job = fc.nat(7)
const by = fc.constantFrom<Worker>(0, 1)
const anyBy = fc.constantFrom<Worker | null>(0, 0, 1, 1, null)
const user = fc.constantFrom('ann', 'bob')
const millis = fc.constantFrom(-10, 0, 5, 10, 10, 1_000, 400_000)
const json = fc.constantFrom<unknown>(null, { step: 1 }, [1, 'two'], 'text', 0, false)

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('create' as const),
      user,
      key: fc.constantFrom(undefined, undefined, 'k1', 'k2'),
      execution: fc.constantFrom<unknown>(undefined, { step: 0 }, { step: 0 }, [0]),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      job,
      by: anyBy,
      text: fc.constantFrom('', 'a', 'bc', '\u{1f600}', "';", 'x\ud83d', '\ude00', '\ude00\ud800', '\ud83d'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('documents' as const), job, by: anyBy, value: json }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constantFrom('complete' as const, 'fail' as const), job, by: anyBy }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('abort' as const), job, user }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constantFrom('claim' as const, 'renew' as const), job, by, millis }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('claimNext' as const), by, millis }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('execution' as const), job, by, value: json }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cleanUp' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('tick' as const),
      millis: fc.constantFrom(1, 5, 10, 1_000, 299_999, 300_001, -1, -10, -1_000, -300_001),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), by }) },
)

/** What a layer answers to a command. Jobs are told by their place, since ids differ. */
type Answer = { readonly ok: unknown } | { readonly status: number }

/** One layer, and the ids of its jobs by their place. */
const system = (jobs: BackgroundJobProvider) => {
  const ids: Array<string> = []
  const placed = (job: HostJob | null) => job && { ...job, id: ids.indexOf(job.id) }
  const answer = async (call: Promise<unknown>): Promise<Answer> => {
    try {
      return { ok: await call }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return { status: error.status }
    }
  }
  return {
    ids,
    all: async () => Promise.all(ids.map(async (id) => placed(await jobs.getJob(id, '*')))),
    count: () => jobs.getActiveJobCount(),
    perform: (command: Command, owners: ReadonlyArray<string>, now: number): Promise<Answer> => {
      const idOf = (place: number) => ids[place % ids.length] ?? 'none'
      const ownerOf = (worker: Worker | null) => (worker === null ? undefined : owners[worker]!)
      switch (command.type) {
        case 'create':
          return answer(
            jobs
              .createJob({
                ...{ userId: command.user, threadId: 't', messageId: 'm', model: 'm' },
                ...{ idempotencyKey: command.key, execution: command.execution },
              })
              .then((id) => {
                if (!ids.includes(id)) ids.push(id)
                return ids.indexOf(id)
              }),
          )
        case 'append': {
          const { text: contentChunk, by } = command
          return answer(jobs.updateJob(idOf(command.job), { contentChunk, leaseOwner: ownerOf(by) }))
        }
        case 'documents': {
          const { value, by } = command
          const documents = { tool_calls: value, workflow_state: value === 0 ? undefined : [value] }
          return answer(jobs.updateJob(idOf(command.job), { ...documents, leaseOwner: ownerOf(by) }))
        }
        case 'complete':
          return answer(jobs.completeJob(idOf(command.job), 'final', ownerOf(command.by)))
        case 'fail':
          return answer(jobs.failJob(idOf(command.job), 'why', ownerOf(command.by)))
        case 'abort':
          return answer(jobs.abortJob(idOf(command.job), command.user))
        case 'claim':
          return answer(
            jobs.claimJob(idOf(command.job), owners[command.by]!, now, now + command.millis).then(placed),
          )
        case 'claimNext':
          return answer(jobs.claimNextJob(owners[command.by]!, now, now + command.millis).then(placed))
        case 'renew':
          return answer(jobs.renewJobLease(idOf(command.job), owners[command.by]!, now, now + command.millis))
        case 'execution':
          return answer(jobs.updateJobExecution(idOf(command.job), command.value, owners[command.by]!))
        case 'cleanUp':
          return answer(jobs.cleanupExpired())
        case 'tick':
        case 'crash':
          return Promise.resolve({ ok: undefined })
      }
    },
  }
}

/** What anybody who watches knows of a job, told by the calls that succeeded. */
interface Known {
  content: string
  claims: number
  /** The lease that was granted or renewed last, until the job ended. */
  lease: { readonly owner: string; readonly until: number } | undefined
  /** The job as it was when it was first seen to have ended. */
  end: unknown
}

/** Runs the commands on both, compares all that can be seen, and holds the laws. Tells what happened. */
const run = async (
  subject: BackgroundJobProvider,
  memory: BackgroundJobProvider,
  commands: ReadonlyArray<Command>,
): Promise<ReadonlyArray<string>> => {
  const [tested, model] = [system(subject), system(memory)]
  const known: Array<Known> = []
  const happened: Array<string> = []
  const incarnations = [0, 0]
  const begun = new Set<number>()
  let before: Awaited<ReturnType<typeof tested.all>> = []
  let now = start
  for (const command of commands) {
    if (command.type === 'tick') vi.setSystemTime((now += command.millis))
    // Which of two that were begun at the same moment is the next one, nobody says.
    if (command.type === 'create') {
      while (begun.has(now)) vi.setSystemTime(++now)
      begun.add(now)
    }
    // Whoever comes back after a crash is somebody else, who knows of no leases.
    if (command.type === 'crash') incarnations[command.by]!++
    const owners = incarnations.map((incarnation, worker) => `worker ${worker}.${incarnation}`)
    const answer = await tested.perform(command, owners, now)
    expect(answer).toEqual(await model.perform(command, owners, now))
    const after = await tested.all()
    expect(after).toEqual(await model.all())
    expect(await tested.count()).toBe(await model.count())
    expect(await tested.count()).toBe(after.filter((job) => job?.status === 'streaming').length)

    const ok = 'ok' in answer ? answer.ok : undefined
    happened.push(`${command.type} ${'ok' in answer ? JSON.stringify(ok)?.slice(0, 5) : answer.status}`)
    if (command.type === 'create' && ok === known.length) {
      known.push({ content: '', claims: 0, lease: undefined, end: undefined })
    }
    const place = 'job' in command && known.length > 0 ? command.job % known.length : undefined
    const was = place === undefined ? undefined : before[place]
    if (command.type === 'append' && 'ok' in answer && was?.status === 'streaming') {
      known[place!]!.content += command.text
    }
    if (command.type === 'complete' && 'ok' in answer && was?.status === 'streaming') {
      known[place!]!.content = 'final'
    }
    const granted = (of: Known, by: Worker, millis: number) => {
      of.lease = { owner: owners[by]!, until: now + millis }
    }
    if ((command.type === 'claim' || command.type === 'claimNext') && ok) {
      const of = known[(ok as { readonly id: number }).id]!
      // Never two owners of one job at one moment.
      expect(of.lease === undefined || of.lease.until <= now).toBe(true)
      of.claims++
      granted(of, command.by, command.millis)
    }
    if (command.type === 'renew' && ok === true) {
      expect(known[place!]!.lease?.owner).toBe(owners[command.by])
      granted(known[place!]!, command.by, command.millis)
    }
    for (const [index, job] of after.entries()) {
      const of = known[index]!
      if (job === null) {
        expect(of.end).toBeDefined()
        continue
      }
      // However it was cut: as one text, without a half that may still get the other.
      const text = job.status === 'streaming' ? of.content.replace(/[\ud800-\udbff]$/, '') : of.content
      expect(job.content).toBe(text.toWellFormed())
      expect(job.attempts).toBe(of.claims)
      if (of.end !== undefined) expect(job).toEqual(of.end)
      else if (job.status !== 'streaming') {
        of.end = job
        of.lease = undefined
      }
      expect(job.leaseOwner).toBe(of.lease?.owner)
      expect(job.leaseExpiresAt).toBe(of.lease?.until)
    }
    before = after
  }
  return happened
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: start })
})
afterEach(() => {
  vi.useRealTimers()
})

const runOn = (name: Parameters<typeof withSubject>[0], commands: ReadonlyArray<Command>) =>
  withSubject(name, ({ host: { backgroundJobProvider } }) =>
    withSubject('memory', (memory) => {
      vi.setSystemTime(start)
      return run(backgroundJobProvider, memory.host.backgroundJobProvider, commands)
    }),
  )

const commands = fc.array(command, { minLength: 5, maxLength: 40, size: 'max' })

const made = { type: 'create', user: 'ann', key: undefined, execution: {} } as const

/** What is easy to get wrong, one by one. */
const examples: ReadonlyArray<readonly [string, ReadonlyArray<Command>]> = [
  [
    'a lease that the clock brings back to life',
    [
      made,
      { type: 'claim', job: 0, by: 0, millis: 10 },
      { type: 'tick', millis: 10 },
      { type: 'tick', millis: -1 },
      { type: 'claim', job: 0, by: 1, millis: 10 },
      { type: 'tick', millis: 1 },
      { type: 'claimNext', by: 1, millis: 10 },
      { type: 'append', job: 0, by: 0, text: 'lost' },
    ],
  ],
  [
    'a job that was begun before the time it was last heard of',
    [
      made,
      { type: 'tick', millis: -300_001 },
      { type: 'append', job: 0, by: null, text: 'a' },
      made,
      { type: 'tick', millis: 300_001 },
      { type: 'cleanUp' },
      { type: 'claimNext', by: 0, millis: 10 },
      { type: 'tick', millis: 300_001 },
      { type: 'cleanUp' },
    ],
  ],
  [
    'a worker that crashes and comes back',
    [
      made,
      { type: 'claim', job: 0, by: 0, millis: 10 },
      { type: 'append', job: 0, by: 0, text: 'a' },
      { type: 'crash', by: 0 },
      { type: 'renew', job: 0, by: 0, millis: 10 },
      { type: 'append', job: 0, by: 0, text: 'b' },
      { type: 'claimNext', by: 0, millis: 10 },
      { type: 'tick', millis: 10 },
      { type: 'claimNext', by: 0, millis: 10 },
      { type: 'append', job: 0, by: 0, text: 'c' },
      { type: 'complete', job: 0, by: 0 },
    ],
  ],
  [
    'a key of a job that has ended and gone',
    [
      { ...made, key: 'k1' },
      { type: 'abort', job: 0, user: 'ann' },
      { ...made, key: 'k1' },
      { type: 'tick', millis: 300_001 },
      { type: 'cleanUp' },
      { ...made, key: 'k1' },
    ],
  ],
]

describe.each(propertySubjects())('background jobs on %s', (name) => {
  it.each(examples)('do as in memory: %s', async (_what, given) => {
    await runOn(name, given)
  })

  it(
    'do as in memory whatever workers do, crash and clocks included',
    () =>
      fc.assert(
        fc.asyncProperty(commands, async (given) => {
          await runOn(name, given)
        }),
        casesOn(name, 40),
      ),
    patience(120_000),
  )
})

it(
  'the commands reach what matters',
  async () => {
    const seen = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(commands, async (given) => {
        for (const what of await runOn('memory', given)) seen.set(what, (seen.get(what) ?? 0) + 1)
      }),
      cases(200),
    )
    for (const reached of [
      ...['create 0', 'append undefined', 'append 409', 'documents 409', 'complete undefined'],
      ...['complete 409', 'fail 409', 'abort true', 'abort false', 'claim null', 'claimNext null'],
      ...['renew true', 'renew false', 'execution true', 'execution false', 'cleanUp 0', 'cleanUp 1'],
    ]) {
      expect(seen.get(reached) ?? 0, reached).toBeGreaterThan(0)
    }
  },
  patience(60_000),
)
