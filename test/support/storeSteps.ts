/**
 * Random calls of the services about users and workspaces, and the systems they run on: the memory layers as the model, the
 * SQL layers as what is tested. Ids and time are given, so that the same call has the same result on both.
 */
import { Clock, Context, Effect, FiberRef, Layer, Logger, ManagedRuntime } from 'effect'
import { layer as committing } from './committingBatches.js'
import * as Batches from '../../src/layers/synchronous/Batches.js'
import * as Engine from '../../src/layers/synchronous/databaseLayer.js'
import { Database } from '../../src/layers/synchronous/Database.js'
import * as MemoryAdministration from '../../src/layers/memory/Administration.js'
import * as MemoryAdmins from '../../src/layers/memory/DeploymentAdmins.js'
import * as MemoryInvites from '../../src/layers/memory/Invites.js'
import * as MemoryMembers from '../../src/layers/memory/Memberships.js'
import { emptyState, StoreState } from '../../src/layers/memory/StoreState.js'
import * as MemoryStore from '../../src/layers/memory/WorkspaceStore.js'
import * as SqlAdministration from '../../src/layers/sql/Administration.js'
import * as SqlAdmins from '../../src/layers/sql/DeploymentAdmins.js'
import * as SqlInvites from '../../src/layers/sql/Invites.js'
import * as SqlMembers from '../../src/layers/sql/Memberships.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import * as Migrator from '../../src/layers/synchronous/SchemaMigrator.js'
import * as SqlStore from '../../src/layers/sql/WorkspaceStore.js'
import {
  Administration,
  DeploymentAdmins,
  IdGenerator,
  Invites,
  Memberships,
  type Role,
  WorkspaceStore,
} from '../../src/services/index.js'
import { migratedInMemory } from './migratedFile.js'
import { fc } from './property.js'

/** Users and workspaces are numbers here; a run knows which ids they stand for. */
export type Step = { readonly user: number; readonly workspace: number } & (
  | { readonly call: 'getOrCreateUser'; readonly identity: number; readonly profile: Profile }
  | { readonly call: 'getUser'; readonly identity: number }
  | { readonly call: 'createWorkspace' | 'updateWorkspace'; readonly details: Details }
  | { readonly call: 'addMember' | 'setRole'; readonly role: Role }
  | ({ readonly call: 'createInvite'; readonly role: Role; readonly lasts: number } & Claim)
  | ({ readonly call: 'consumeInvite' | 'validateInvite' } & Claim)
  | ({ readonly call: 'acceptInvite'; readonly identity: number; readonly profile: Profile } & Claim)
  | { readonly call: 'revokeInvite'; readonly invite: number }
  | { readonly call: 'upsertMember'; readonly whom: string; readonly provider?: string; readonly role: Role }
  | { readonly call: PlainCall }
)

type PlainCall =
  | 'getOrCreateDefaultWorkspace'
  | 'getWorkspaceRole'
  | 'listUserWorkspaces'
  | 'removeWorkspace'
  | 'setActiveWorkspace'
  | 'removeMember'
  | 'listMembers'
  | 'adminRemoveWorkspace'
  | 'restoreWorkspace'
  | 'grantAdmin'
  | 'revokeAdmin'

interface Claim {
  readonly email: string
  readonly token: number
}

interface Profile {
  readonly email?: string | null | undefined
  readonly displayName?: string | null | undefined
}

interface Details {
  readonly name: string
  readonly description?: string | null | undefined
}

const optionalText = (values: ReadonlyArray<string>) =>
  fc.constantFrom<string | null | undefined>(undefined, undefined, null, '', ...values)

const profile: fc.Arbitrary<Profile> = fc.record({
  email: optionalText(['a@b.c', 'd@e.f']),
  displayName: optionalText(['Ann', 'Zoë 🚀']),
})

const details: fc.Arbitrary<Details> = fc.record({
  name: fc.constantFrom('Team', ' Trimmed ', 'Проект', '', 'x'.repeat(101)),
  description: optionalText(['what we do', 'x'.repeat(1_001)]),
})

/** Mostly the same few, so that calls concern each other. */
const index = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 3 }) },
  { weight: 1, arbitrary: fc.nat(20) },
)
const someone = { user: index, workspace: index }
const role = fc.constantFrom<Role>('owner', 'editor', 'viewer')

const plain = (...calls: ReadonlyArray<PlainCall>) =>
  fc.record({ ...someone, call: fc.constantFrom(...calls) })

const claim = { email: fc.constantFrom('a@b.c', 'a@b.c', ' D@e.f'), token: fc.constantFrom(0, 0, 1) }

/** Calls about invites, and of administrators. */
const peopleStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      ...someone,
      ...claim,
      call: fc.constant('createInvite' as const),
      role,
      lasts: fc.constantFrom(1, 60, 1_000, 1_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...someone,
      ...claim,
      call: fc.constantFrom('consumeInvite' as const, 'consumeInvite' as const, 'validateInvite' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...someone,
      ...claim,
      call: fc.constant('acceptInvite' as const),
      identity: fc.nat(5),
      profile,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ ...someone, call: fc.constant('revokeInvite' as const), invite: index }),
  },
  {
    weight: 3,
    arbitrary: fc.record(
      {
        ...someone,
        call: fc.constant('upsertMember' as const),
        whom: fc.constantFrom('a@b.c', 'D@e.f', 'u0', 'u1', 'u6', 'x@y'),
        provider: fc.constantFrom('p', 'q'),
        role,
      },
      { requiredKeys: ['user', 'workspace', 'call', 'whom', 'role'] },
    ),
  },
  {
    weight: 3,
    arbitrary: plain(
      'adminRemoveWorkspace',
      'restoreWorkspace',
      'restoreWorkspace',
      'grantAdmin',
      'revokeAdmin',
    ),
  },
)

/** Any call, those that change something more often. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: peopleStep },
  {
    weight: 3,
    arbitrary: fc.record({
      ...someone,
      call: fc.constant('getOrCreateUser' as const),
      identity: fc.nat(4),
      profile,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      ...someone,
      call: fc.constantFrom(
        'createWorkspace' as const,
        'createWorkspace' as const,
        'updateWorkspace' as const,
      ),
      details,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...someone,
      call: fc.constantFrom('addMember' as const, 'addMember' as const, 'setRole' as const),
      role,
    }),
  },
  { weight: 5, arbitrary: plain('getOrCreateDefaultWorkspace', 'setActiveWorkspace', 'setActiveWorkspace') },
  {
    weight: 2,
    arbitrary: fc.record({ ...someone, call: fc.constant('getUser' as const), identity: fc.nat(5) }),
  },
  { weight: 4, arbitrary: plain('removeWorkspace', 'removeMember', 'removeMember') },
  { weight: 1, arbitrary: plain('getWorkspaceRole', 'listUserWorkspaces', 'listMembers') },
)

export type Outcome = { readonly ok: unknown } | { readonly error: string; readonly message: string }

/** What the numbers of the steps stand for. */
export interface Names {
  readonly users: ReadonlyArray<string>
  readonly workspaces: ReadonlyArray<string>
  readonly invites: ReadonlyArray<string>
}

export interface System {
  readonly store: WorkspaceStore['Type']
  readonly members: Memberships['Type']
  readonly invites: Invites['Type']
  readonly administration: Administration['Type']
  readonly admins: DeploymentAdmins['Type']
}

type Tags = WorkspaceStore | Memberships | Invites | Administration | DeploymentAdmins

const systemIn = (context: Context.Context<Tags>): System => ({
  store: Context.get(context, WorkspaceStore),
  members: Context.get(context, Memberships),
  invites: Context.get(context, Invites),
  administration: Context.get(context, Administration),
  admins: Context.get(context, DeploymentAdmins),
})

type Fault = { readonly _tag: string; readonly message: string }

const invoke = (system: System, names: Names, step: Step): Effect.Effect<unknown, Fault> => {
  const { store, members, invites, administration, admins } = system
  const userId = names.users[step.user % names.users.length]!
  const workspaceId = names.workspaces[step.workspace % names.workspaces.length]!
  const claimed = ({ email, token }: Claim) => ({ workspaceId, email, tokenHash: `t${token}` })
  switch (step.call) {
    case 'createInvite':
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        invites.create({
          ...claimed(step),
          role: step.role,
          invitedByUserId: userId,
          expiresAt: now / 1_000 + step.lasts,
        }),
      )
    case 'revokeInvite': {
      const inviteId = names.invites[step.invite % names.invites.length]!
      return invites.revoke({ workspaceId, inviteId, revokedByUserId: userId })
    }
    case 'validateInvite':
      return invites.validate(claimed(step))
    case 'consumeInvite':
      return invites.consume({ ...claimed(step), acceptedUserId: userId })
    case 'acceptInvite': {
      const { displayName } = step.profile
      const identity = { provider: 'p', providerUserId: `u${step.identity}`, displayName }
      return invites.accept({ ...claimed(step), ...identity })
    }
    case 'upsertMember': {
      const { whom, role, provider } = step
      return administration.upsertMember({ workspaceId, emailOrProviderId: whom, role, provider })
    }
    case 'adminRemoveWorkspace':
      return administration.removeWorkspace({ workspaceId, deletedAt: 5 })
    case 'restoreWorkspace':
      return administration.restoreWorkspace({ workspaceId })
    case 'grantAdmin':
      return admins.grant({ userId, createdByUserId: 'operator' })
    case 'revokeAdmin':
      return admins.revoke({ userId })
    case 'getOrCreateUser':
      return store.getOrCreateUser({ provider: 'p', providerUserId: `u${step.identity}`, ...step.profile })
    case 'getUser':
      return store.getUser({ provider: 'p', providerUserId: `u${step.identity}` })
    case 'createWorkspace':
      return store.createWorkspace({ userId, ...step.details })
    case 'updateWorkspace':
      return store.updateWorkspace({ userId, workspaceId, ...step.details })
    case 'addMember':
      return members.addMember({ userId, workspaceId, role: step.role })
    case 'setRole':
      return members.setRole({ userId, workspaceId, role: step.role })
    case 'getOrCreateDefaultWorkspace':
      return store.getOrCreateDefaultWorkspace(userId)
    case 'getWorkspaceRole':
      return store.getWorkspaceRole({ userId, workspaceId })
    case 'listUserWorkspaces':
      return store.listUserWorkspaces(userId)
    case 'removeWorkspace':
      return store.removeWorkspace({ userId, workspaceId })
    case 'setActiveWorkspace':
      return store.setActiveWorkspace({ userId, workspaceId })
    case 'removeMember':
      return members.removeMember({ userId, workspaceId })
    case 'listMembers':
      return members.listMembers(workspaceId)
  }
}

export { emptyState }

/** The id that a call makes, if it makes one. */
const currentCall = FiberRef.unsafeMake('none')
export const idOf = (label: string): string => `id-${label}`

const clockAt = (seconds: number): Clock.Clock =>
  Object.assign(Object.create(Clock.make()) as Clock.Clock, {
    currentTimeMillis: Effect.succeed(seconds * 1_000),
    unsafeCurrentTimeMillis: () => seconds * 1_000,
  })

/** One call, at a given time; the id it may make follows from its label. Defects are not caught. */
export const perform = (
  system: System,
  names: Names,
  step: Step,
  { label, seconds }: { readonly label: string; readonly seconds: number },
): Effect.Effect<Outcome> =>
  invoke(system, names, step).pipe(
    Effect.match({
      onSuccess: (ok): Outcome => ({ ok }),
      onFailure: ({ _tag, message }): Outcome => ({ error: _tag, message }),
    }),
    Effect.locally(currentCall, label),
    Effect.withClock(clockAt(seconds)),
  )

/** All that can be seen: every user's list, every workspace's members and invites, and whoever and whatever else there is. */
export const view = (
  { store, members, invites, administration, admins }: System,
  { users, workspaces }: Names,
): Effect.Effect<unknown> =>
  Effect.all({
    users: Effect.orDie(administration.searchUsers({ query: '', limit: 100 })),
    workspaces: Effect.orDie(administration.listWorkspaces({ includeDeleted: true, page: 1, perPage: 100 })),
    admins: Effect.orDie(admins.list),
    invites: Effect.forEach(workspaces, (workspaceId) =>
      Effect.orElseSucceed(invites.list({ workspaceId }), () => workspaceId),
    ),
    lists: Effect.forEach(users, (userId) =>
      Effect.map(Effect.orDie(store.listUserWorkspaces(userId)), (list) => [userId, list] as const),
    ),
    members: Effect.forEach(workspaces, (workspaceId) =>
      Effect.match(members.listMembers(workspaceId), {
        onSuccess: (list) => [workspaceId, list] as const,
        onFailure: ({ _tag }) => [workspaceId, _tag] as const,
      }),
    ),
  })

/** What must hold in every state, whatever led there. */
export const brokenRules = ({ store, members }: System, { users, workspaces }: Names) =>
  Effect.gen(function* () {
    const broken: Array<string> = []
    for (const userId of users) {
      const list = yield* Effect.orDie(store.listUserWorkspaces(userId))
      if (list.filter(({ isActive }) => isActive).length > 1)
        broken.push(`${userId} has two active workspaces`)
      if (new Set(list.map(({ id }) => id)).size !== list.length)
        broken.push(`${userId} has a workspace twice`)
      for (const { id, role } of list) {
        const told = yield* Effect.orDie(store.getWorkspaceRole({ userId, workspaceId: id }))
        if (told !== role) broken.push(`${userId} is ${role} and ${String(told)} of ${id}`)
      }
    }
    for (const workspaceId of workspaces) {
      const list = yield* Effect.orElseSucceed(members.listMembers(workspaceId), () => undefined)
      if (list !== undefined && !list.some(({ role }) => role === 'owner')) {
        broken.push(`${workspaceId} has no owner`)
      }
    }
    return broken
  })

const idsOfCalls = (pause: Effect.Effect<void>) =>
  Layer.succeed(IdGenerator, { next: Effect.zipRight(pause, Effect.map(FiberRef.get(currentCall), idOf)) })

/** The memory layers on a given state. */
export const memorySystem = (state: StoreState['Type'], pause: Effect.Effect<void> = Effect.void): System => {
  const context = Effect.runSync(
    Effect.scoped(
      Layer.build(
        Layer.mergeAll(
          MemoryStore.layerWithState,
          MemoryMembers.layer,
          MemoryInvites.layer,
          MemoryAdministration.layer,
          MemoryAdmins.layer,
        ).pipe(Layer.provide(Layer.succeed(StoreState, state)), Layer.provide(idsOfCalls(pause))),
      ),
    ),
  )
  return systemIn(context)
}

/** Pauses before every transaction and every statement outside of one: all the places where callers can interleave. */
const pausing = (pause: Effect.Effect<void>) =>
  Layer.effect(
    Database,
    Effect.map(Database, (inner) =>
      Database.of({
        ...inner,
        direct: (operation, body) => Effect.zipRight(pause, inner.direct(operation, body)),
        single: (operation, body) => Effect.zipRight(pause, inner.single(operation, body)),
        snapshot: (operation, body) => Effect.zipRight(pause, inner.snapshot(operation, body)),
        write: (operation, body) => Effect.zipRight(pause, inner.write(operation, body)),
      }),
    ),
  )

/** The SQL layers. They start without pauses: a start is synchronous. */
export const sqlSystem = (
  dbPath: string,
  pause: Effect.Effect<void> = Effect.void,
): { readonly system: System; readonly close: () => Promise<void> } => {
  const runtime = ManagedRuntime.make(
    Layer.mergeAll(
      SqlStore.layer,
      SqlMembers.layer,
      SqlInvites.layer,
      SqlAdministration.layer,
      SqlAdmins.layer,
    ).pipe(
      // Others than the engine has made, over the database between.
      Layer.provide(dbPath === ':memory:' ? committing : Layer.fresh(Batches.layer)),
      Layer.provide(pausing(pause)),
      Layer.provide(Engine.layer),
      Layer.provide(dbPath === ':memory:' ? migratedInMemory : Migrator.layer),
      Layer.provide(Config.layerOf({ dbPath, synchronous: 'OFF' })),
      Layer.provide(idsOfCalls(Effect.void)),
      Layer.provide(Logger.remove(Logger.defaultLogger)),
    ),
  )
  const { context } = Effect.runSync(runtime.runtimeEffect)
  return {
    system: systemIn(context),
    close: () => runtime.dispose(),
  }
}
