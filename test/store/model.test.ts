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
  type Outcome,
  perform,
  sqlSystem,
  type Step,
  step,
  view,
} from '../support/storeSteps.js'

/** A step, and the seconds that pass before it: often none, so that times tie. */
const timed = fc.tuple(step, fc.constantFrom(0, 0, 1, 60))

/** The first steps make three users, workspaces and invites, so that the rest has something to work on. */
const opening: ReadonlyArray<Step> = [
  ...[0, 1, 2].flatMap((n): ReadonlyArray<Step> => [
    { call: 'getOrCreateUser', identity: n, profile: {}, user: 0, workspace: 0 },
    { call: 'createWorkspace', details: { name: `W${n}` }, user: n + 1, workspace: 0 },
    {
      ...{ call: 'createInvite', email: 'a@b.c', token: 0, role: 'editor', lasts: 1_000 },
      ...{ user: n + 1, workspace: n + 1 },
    },
  ]),
  { call: 'grantAdmin', user: 1, workspace: 0 },
]

/** What a call makes that gives its own id. */
const kindOf: Partial<Record<Step['call'], 'users' | 'workspaces' | 'invites'>> = {
  getOrCreateUser: 'users',
  acceptInvite: 'users',
  upsertMember: 'users',
  createInvite: 'invites',
}

const verdictOf = (outcome: Outcome) => {
  if ('error' in outcome) {
    return outcome.error === 'InviteRefused' ? outcome.message : outcome.error
  }
  if (outcome.ok === null) return 'null'
  if (Object(outcome.ok).created === true || Object(outcome.ok).createdUser === true) return 'created'
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
            const names = { users: ['nobody'], workspaces: ['none'], invites: ['none'] }
            const all = [...opening.map((one) => [one, 0] as const), ...steps]
            for (const [number, [one, pause]] of all.entries()) {
              seconds += pause
              const at = { label: String(number), seconds }
              const expected = Effect.runSync(perform(model, names, one, at))
              expect(Effect.runSync(perform(system, names, one, at))).toEqual(expected)
              const verdict = verdictOf(expected)
              seen.set(`${one.call} ${verdict}`, (seen.get(`${one.call} ${verdict}`) ?? 0) + 1)

              const made = 'ok' in expected ? JSON.stringify(expected.ok) : ''
              if (made?.includes(`"${idOf(String(number))}"`)) {
                names[kindOf[one.call] ?? 'workspaces'].push(idOf(String(number)))
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
        'createInvite ok',
        'createInvite WorkspaceNotFound',
        'revokeInvite ok',
        'revokeInvite InviteNotFound',
        'consumeInvite ok',
        'consumeInvite The invite for this e-mail address has another token.',
        'acceptInvite created',
        'acceptInvite known',
        'acceptInvite There is no such invite.',
        'acceptInvite The invite is for another e-mail address.',
        'acceptInvite The invite was used before.',
        'upsertMember known',
        'upsertMember UnknownEmail',
        'restoreWorkspace ok',
        'adminRemoveWorkspace ok',
      ]) {
        expect(seen.get(reached) ?? 0, reached).toBeGreaterThan(0)
      }
    },
    patience(60_000),
  )
})
