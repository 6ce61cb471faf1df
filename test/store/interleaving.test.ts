/**
 * Issue 5, point 5: whatever two and more callers do at the same time, the results are those of some order in which they
 * might have called one after the other.
 *
 * Every run is compared with the memory layer, called in all the orders that are possible until one explains what was seen.
 */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Effect } from 'effect'
import { afterAll, describe, expect, it } from 'vitest'
import type { StoreState } from '../../src/layers/memory/StoreState.js'
import { migratedFile } from '../support/migratedFile.js'
import { cases, fc, patience } from '../support/property.js'
import {
  brokenRules,
  emptyState,
  idOf,
  memorySystem,
  type Names,
  type Outcome,
  perform,
  sqlSystem,
  type Step,
  step,
  type System,
  view,
} from '../support/storeSteps.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

const seconds = 1_000_000

/** A call as it was seen: it began and ended at these ticks. */
interface Seen {
  readonly step: Step
  readonly label: string
  readonly began: number
  readonly ended: number
  readonly outcome: Outcome
}

type State = StoreState['Type']

/** One model for all scenes: building its layers takes far longer than a call. */
const modelState = emptyState()
const model = memorySystem(modelState)

/** Brings the model to a state, which stays as it is. */
const setModel = (to: State) => {
  const copy = structuredClone(to)
  for (const name of Object.keys(copy) as ReadonlyArray<keyof State>) {
    const [kept, given] = [modelState[name], copy[name]] as [Map<unknown, unknown>, Map<unknown, unknown>]
    kept.clear()
    if (kept instanceof Set) for (const value of given.values()) kept.add(value)
    else for (const [key, value] of given) kept.set(key, value)
  }
}

/** Whether some order of the calls, which keeps what was over before something else began, explains what was seen. */
const explains = (
  state: State,
  names: Names,
  callers: ReadonlyArray<ReadonlyArray<Seen>>,
  finalView: unknown,
): boolean => {
  const next = callers.flatMap(([first]) => (first === undefined ? [] : [first]))
  if (next.length === 0) {
    setModel(state)
    return equal(Effect.runSync(view(model, names)), finalView)
  }
  return next
    .filter(({ began }) => next.every(({ ended }) => ended >= began))
    .some((call) => {
      setModel(state)
      const { step, label, outcome } = call
      const told = Effect.runSync(perform(model, names, step, { label, seconds }))
      const rest = callers.map((calls) => (calls[0] === call ? calls.slice(1) : calls))
      return equal(told, outcome) && explains(structuredClone(modelState), names, rest, finalView)
    })
}

/** As JSON: what is undefined is not there. */
const equal = (a: unknown, b: unknown): boolean => isDeepStrictEqual(asJson(a), asJson(b))
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** What happened before the callers came. */
const opening: ReadonlyArray<Step> = [
  { call: 'getOrCreateUser', identity: 0, profile: {}, user: 0, workspace: 0 },
  { call: 'getOrCreateUser', identity: 1, profile: {}, user: 0, workspace: 0 },
  { call: 'createWorkspace', details: { name: 'A' }, user: 0, workspace: 0 },
  { call: 'createWorkspace', details: { name: 'B' }, user: 1, workspace: 0 },
]

interface Scene {
  readonly before: ReadonlyArray<Step>
  readonly callers: ReadonlyArray<ReadonlyArray<Step>>
  /** How many turns each pause takes. */
  readonly turns: ReadonlyArray<number>
}

const scene: fc.Arbitrary<Scene> = fc.record({
  before: fc.array(step, { maxLength: 6 }),
  callers: fc.oneof(
    fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 2 }),
    fc.array(fc.array(step, { minLength: 1, maxLength: 2 }), { minLength: 3, maxLength: 4 }),
    // The same call by everybody: a race for one thing.
    fc
      .tuple(step, fc.integer({ min: 2, max: 4 }))
      .map(([one, many]) => Array.from({ length: many }, () => [one])),
  ),
  turns: fc.array(fc.nat(3), { minLength: 1, maxLength: 30 }),
})

/** Small numbers only: two users and two workspaces, plus whatever the callers make. */
const namesOf = ({ before, callers }: Scene): Names => {
  const labels = [
    ...before.map((_, index) => `before-${index}`),
    ...callers.flatMap((steps, caller) => steps.map((_, index) => `caller-${caller}-${index}`)),
  ].map(idOf)
  const known = (call: number) => idOf(`opening-${call}`)
  return {
    users: [known(0), known(1), ...labels],
    workspaces: [known(2), known(3), ...labels],
    invites: labels,
  }
}

const pauses = (turns: ReadonlyArray<number>) => {
  let at = 0
  return Effect.suspend(() => {
    const count = turns[at++ % turns.length]!
    return count === 0 ? Effect.void : Effect.repeatN(Effect.yieldNow(), count - 1)
  })
}

interface Opened {
  readonly setUp: System
  /** One per caller, in turn. */
  readonly systems: ReadonlyArray<System>
  readonly close: () => Promise<void>
}

type Open = (pause: Effect.Effect<void>) => Opened | Promise<Opened>

const runScene = async (given: Scene, open: Open) => {
  const names = namesOf(given)
  const { setUp, systems, close } = await open(pauses(given.turns))
  try {
    setModel(emptyState())
    const prologue = [
      ...opening.map((step, index) => ({ step, label: `opening-${index}` })),
      ...given.before.map((step, index) => ({ step, label: `before-${index}` })),
    ]
    for (const { step, label } of prologue) {
      const at = { label, seconds }
      const told = await Effect.runPromise(perform(setUp, names, step, at))
      expect(told).toEqual(Effect.runSync(perform(model, names, step, at)))
    }

    let tick = 0
    const seen = await Effect.runPromise(
      Effect.forEach(
        given.callers,
        (steps, caller) =>
          Effect.forEach(steps, (step, index) =>
            Effect.suspend(() => {
              const label = `caller-${caller}-${index}`
              const began = ++tick
              return Effect.map(
                perform(systems[caller % systems.length]!, names, step, { label, seconds }),
                (outcome): Seen => ({ step, label, began, ended: ++tick, outcome }),
              )
            }),
          ),
        { concurrency: 'unbounded' },
      ),
    )
    const finalView = await Effect.runPromise(view(setUp, names))
    expect(await Effect.runPromise(brokenRules(setUp, names))).toEqual([])
    const overlap = seen.flat().some((a) => seen.flat().some((b) => a.began < b.began && b.began < a.ended))
    if (!explains(structuredClone(modelState), names, seen, finalView)) {
      throw new Error(`no order explains:\n${JSON.stringify({ seen, finalView }, null, 1)}`)
    }
    return { overlap }
  } finally {
    await close()
  }
}

let files = 0

const setups: ReadonlyArray<readonly [string, number, Open]> = [
  [
    'in memory',
    100,
    (pause) => {
      const system = memorySystem(emptyState(), pause)
      return { setUp: system, systems: [system], close: () => Promise.resolve() }
    },
  ],
  [
    'on one connection',
    100,
    (pause) => {
      const { system, close } = sqlSystem(':memory:', pause)
      return { setUp: system, systems: [system], close }
    },
  ],
  [
    'on two connections to one file',
    50,
    async (pause) => {
      const file = await migratedFile(join(folder, `interleaving-${++files}.db`))
      const [one, two] = [sqlSystem(file, pause), sqlSystem(file, pause)]
      const close = async () => {
        await one.close()
        await two.close()
      }
      return { setUp: one.system, systems: [one.system, two.system], close }
    },
  ],
]

describe('callers at the same time', () => {
  it.each(setups)(
    '%s get what some order of their calls would give',
    async (_where, count, open) => {
      let overlaps = 0
      await fc.assert(
        fc.asyncProperty(scene, async (given) => {
          const { overlap } = await runScene(given, open)
          if (overlap) overlaps++
        }),
        cases(count),
      )
      // Callers that never meet would prove nothing.
      expect(overlaps).toBeGreaterThan(count / 4)
    },
    patience(60_000),
  )
})

/** The known races, one by one: whoever looked before another wrote must look again. */
const user = (index: number) => ({ user: index, workspace: 0 })
const races: ReadonlyArray<readonly [string, Omit<Scene, 'turns'>]> = [
  [
    'a default is looked for while another workspace is made active',
    {
      before: [{ call: 'createWorkspace', details: { name: 'C' }, ...user(0) }],
      callers: [
        [{ call: 'getOrCreateDefaultWorkspace', ...user(0) }],
        // Not the one that a default falls back on: by age they tie, and the other's id is less.
        [{ call: 'setActiveWorkspace', ...user(0) }],
      ],
    },
  ],
  [
    'a default is looked for while the active workspace is removed',
    {
      before: [{ call: 'getOrCreateDefaultWorkspace', ...user(0) }],
      callers: [
        [{ call: 'getOrCreateDefaultWorkspace', ...user(0) }],
        [{ call: 'removeWorkspace', ...user(0) }],
      ],
    },
  ],
  [
    'a first default is looked for twice',
    {
      before: [{ call: 'getOrCreateUser', identity: 2, profile: {}, ...user(0) }],
      callers: [
        [{ call: 'getOrCreateDefaultWorkspace', ...user(2) }],
        [{ call: 'getOrCreateDefaultWorkspace', ...user(2) }],
      ],
    },
  ],
  [
    'a user signs in for the first time twice, with different profiles',
    {
      before: [],
      callers: [
        [{ call: 'getOrCreateUser', identity: 2, profile: { email: 'a@b.c' }, ...user(0) }],
        [{ call: 'getOrCreateUser', identity: 2, profile: { displayName: 'Ann' }, ...user(0) }],
      ],
    },
  ],
  [
    'a profile changes in two ways',
    {
      before: [],
      callers: [
        [
          {
            call: 'getOrCreateUser',
            identity: 0,
            profile: { email: 'a@b.c', displayName: 'Ann' },
            ...user(0),
          },
        ],
        [
          {
            call: 'getOrCreateUser',
            identity: 0,
            profile: { email: 'd@e.f', displayName: null },
            ...user(0),
          },
        ],
      ],
    },
  ],
  [
    'both owners leave',
    {
      before: [{ call: 'addMember', role: 'owner', user: 1, workspace: 0 }],
      callers: [
        [{ call: 'removeMember', user: 0, workspace: 0 }],
        [{ call: 'setRole', role: 'viewer', user: 1, workspace: 0 }],
      ],
    },
  ],
  [
    'a workspace is removed while it is made active and gets a member',
    {
      before: [],
      callers: [
        [{ call: 'removeWorkspace', ...user(0) }],
        [{ call: 'setActiveWorkspace', ...user(0) }],
        [{ call: 'addMember', role: 'editor', user: 1, workspace: 0 }],
      ],
    },
  ],
]

const claim = { email: 'a@b.c', token: 0 }
const invited: Step = { call: 'createInvite', role: 'editor', lasts: 60, ...claim, ...user(0) }
const accepting = (identity: number): Step => ({
  call: 'acceptInvite',
  identity,
  profile: { displayName: `Ann ${identity}` },
  ...claim,
  ...user(0),
})
const racesForInvites: typeof races = [
  [
    'an invite is accepted by two new people',
    { before: [invited], callers: [[accepting(2)], [accepting(3)]] },
  ],
  [
    'an invite is accepted by a new person twice',
    { before: [invited], callers: [[accepting(2)], [accepting(2)]] },
  ],
  [
    'an invite is accepted while it is used by a user, and revoked',
    {
      before: [invited],
      callers: [
        [accepting(2)],
        [{ call: 'consumeInvite', ...claim, user: 1, workspace: 0 }],
        [{ call: 'revokeInvite', invite: 0, ...user(0) }],
      ],
    },
  ],
  [
    'an invite is accepted while the workspace is removed and comes back',
    {
      before: [invited],
      callers: [
        [accepting(2)],
        [
          { call: 'adminRemoveWorkspace', ...user(0) },
          { call: 'restoreWorkspace', ...user(0) },
        ],
      ],
    },
  ],
  [
    'a new person is made a member while signing in',
    {
      before: [],
      callers: [
        [{ call: 'upsertMember', whom: 'u2', provider: 'p', role: 'viewer', ...user(0) }],
        [{ call: 'getOrCreateUser', identity: 2, profile: { email: 'a@b.c' }, ...user(0) }],
        [{ call: 'upsertMember', whom: 'u2', provider: 'p', role: 'owner', ...user(0) }],
      ],
    },
  ],
  [
    'an administrator invites while that ends',
    {
      before: [{ call: 'grantAdmin', user: 1, workspace: 0 }],
      callers: [[{ ...invited, user: 1 }], [{ call: 'revokeAdmin', user: 1, workspace: 0 }]],
    },
  ],
]

/** All lists of this length with these values. */
const everyList = (length: number, values: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  length === 0
    ? [[]]
    : everyList(length - 1, values).flatMap((rest) => values.map((value) => [value, ...rest]))

describe.each(setups.slice(0, 2))('in every small interleaving, %s', (_where, _count, open) => {
  it.each([...races, ...racesForInvites])('%s', async (_what, race) => {
    for (const turns of everyList(4, [0, 1])) await runScene({ ...race, turns }, open)
  })
})
