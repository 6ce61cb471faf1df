/**
 * Issue 5, point 5: random calls by many users do the same on SQLite as in memory, and break no rule.
 */
import { Effect } from 'effect'
import { describe, expect, it } from 'vitest'
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
  view,
} from '../support/storeSteps.js'

/** A step, and the seconds that pass before it: often none, so that times tie. */
const timed = fc.tuple(step, fc.constantFrom(0, 0, 1, 60))

/** The first steps make three users and three workspaces, so that the rest has something to work on. */
const opening: ReadonlyArray<Step> = [0, 1, 2].flatMap((n): ReadonlyArray<Step> => [
  { call: 'getOrCreateUser', identity: n, profile: {}, user: 0, workspace: 0 },
  { call: 'createWorkspace', details: { name: `W${n}` }, user: n + 1, workspace: 0 },
])

const verdictOf = (outcome: Outcome) => {
  if ('error' in outcome) return outcome.error
  if (outcome.ok === null) return 'null'
  if (Object(outcome.ok).created === true) return 'created'
  return Object(outcome.ok).userId === undefined ? 'ok' : 'known'
}

describe('the workspace store on SQLite', () => {
  it(
    'does what the one in memory does, call by call',
    async () => {
      const seen = new Map<string, number>()
      await fc.assert(
        fc.asyncProperty(fc.array(timed, { maxLength: 50, size: 'max' }), async (steps) => {
          const model = memorySystem(emptyState())
          const { system, close } = sqlSystem(':memory:')
          try {
            let seconds = 1_000_000
            const users = ['nobody']
            const workspaces = ['none']
            const all = [...opening.map((one) => [one, 0] as const), ...steps]
            for (const [number, [one, pause]] of all.entries()) {
              seconds += pause
              const names: Names = { users, workspaces }
              const at = { label: String(number), seconds }
              const expected = Effect.runSync(perform(model, names, one, at))
              expect(Effect.runSync(perform(system, names, one, at))).toEqual(expected)
              const verdict = verdictOf(expected)
              seen.set(`${one.call} ${verdict}`, (seen.get(`${one.call} ${verdict}`) ?? 0) + 1)

              const made = 'ok' in expected ? JSON.stringify(expected.ok) : ''
              if (made?.includes(`"${idOf(String(number))}"`)) {
                ;(one.call === 'getOrCreateUser' ? users : workspaces).push(idOf(String(number)))
              }
              expect(Effect.runSync(view(system, names))).toEqual(Effect.runSync(view(model, names)))
              expect(Effect.runSync(brokenRules(system, names))).toEqual([])
            }
          } finally {
            await close()
          }
        }),
        cases(100),
      )
      // The generator reaches what matters; else this test would prove little.
      for (const reached of [
        'getUser known',
        'getUser null',
        'getOrCreateDefaultWorkspace ok',
        'getOrCreateDefaultWorkspace created',
        'removeWorkspace ok',
        'removeWorkspace WorkspaceForbidden',
        'setActiveWorkspace ok',
        'setActiveWorkspace WorkspaceNotFound',
        'updateWorkspace ok',
        'addMember ok',
        'addMember AlreadyMember',
        'setRole ok',
        'setRole LastOwner',
        'removeMember ok',
        'removeMember LastOwner',
      ]) {
        expect(seen.get(reached) ?? 0, reached).toBeGreaterThan(0)
      }
    },
    patience(60_000),
  )
})
