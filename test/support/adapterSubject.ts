/**
 * The subjects that go through the promises which the host calls, in a database file of their own: in this process, and in one of
 * Bun. What hosts are not given goes by a second connection, from here.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { Effect, Layer, Logger, ManagedRuntime } from 'effect'
import { expect } from 'vitest'
import { type Adapters, HostError, openProvider } from '../../src/nuxt/adapters.js'
import type { HostPushResult } from '../../src/nuxt/host.js'
import { checkPullAnswer, checkPushAnswer, opIdOf } from '../../src/nuxt/hostChecks.js'
import type { ServiceError } from '../../src/nuxt/httpErrors.js'
import {
  type Caller,
  limits,
  Erasure,
  Memberships,
  type PendingOp,
  type PushRequest,
  type RetentionRequest,
  SyncGateway,
} from '../../src/services/index.js'
import { openInBun } from './bun.js'
import { fileCallsOfAdapter } from './fileCalls.js'
import { checked, erasureCalls, membershipCalls, runner, sqlLayer } from './layerSubjects.js'
import { migratedFile } from './migratedFile.js'
import type { MembershipCalls, Subject, SubjectName } from './subjectType.js'
import type { Env } from './run.js'
import { temporaryFolder } from './temporaryFolder.js'
import { detailOfResult, Refused, verdictOfResult } from './verdicts.js'
import { viewOfSql } from './views.js'

const eventOf = (caller: Caller | undefined) => {
  if (caller === undefined) return {}
  const { userId, workspaceId } = Object(caller) as Partial<Caller>
  return {
    context: {
      __or3_session_context_test: {
        authenticated: true,
        user: { id: userId },
        workspace: { id: workspaceId, name: 'test' },
      },
    },
  }
}

/**
 * The batch in parts none of which has an op id twice, since a host is told one result per id. A batch is worth what its ops are
 * worth one after the other, so this makes no difference. What is no batch stays as it is, for the service to refuse.
 */
const withoutRepeats = (ops: ReadonlyArray<PendingOp>): ReadonlyArray<ReadonlyArray<PendingOp>> => {
  if (!Array.isArray(ops) || ops.length > limits.batch) return [ops]
  const parts: Array<Array<PendingOp>> = [[]]
  let ids = new Set<string>()
  for (const op of ops as ReadonlyArray<PendingOp>) {
    const id = opIdOf(op)
    if (ids.has(id)) {
      parts.push([])
      ids = new Set()
    }
    ids.add(id)
    parts.at(-1)!.push(op)
  }
  return parts
}

const asRefused = async <A>(promise: Promise<A>): Promise<A> => {
  try {
    return await promise
  } catch (error) {
    throw error instanceof HostError ? new Refused(error.statusCode, error.message) : error
  }
}

/** Whether it can be looked at as a whole; some junk throws then. */
const isReadable = (input: unknown): boolean => {
  try {
    return input !== null && input !== undefined && Object.keys({ ...Object(input) }).length >= 0
  } catch {
    return false
  }
}

/** Whether the window is one that the adapters refuse; what cannot be read is not. */
const isShort = (input: unknown): boolean => {
  try {
    const { retentionSeconds } = Object(input) as Record<string, unknown>
    return typeof retentionSeconds === 'number' && retentionSeconds > 0 && retentionSeconds < 3_600
  } catch {
    return false
  }
}

/** The same, whose calls reject with `Refused` instead of the host's error. */
const refusing = (value: unknown): unknown => {
  if (typeof value === 'function') {
    return (...args: ReadonlyArray<unknown>) => {
      const result = (value as (...args: ReadonlyArray<unknown>) => unknown)(...args)
      return result instanceof Promise ? asRefused(result) : refusing(result)
    }
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, refusing(part)]))
}

type Opened = Adapters & { close(): Promise<void> }

const through = async (name: SubjectName, open: (env: Env) => Opened | Promise<Opened>): Promise<Subject> => {
  const { folder, remove } = temporaryFolder()
  const file = await migratedFile(join(folder, 'adapters.db'))
  const provider = await open({ OR3_SQLITE_DB_PATH: file, OR3_SQLITE_PRAGMA_SYNCHRONOUS: 'OFF' })
  const { syncGateway: gateway, close: _close, ...adapters } = provider
  const host = refusing({ syncGateway: gateway, ...adapters }) as Adapters
  /** The event and the input, of whatever was given. */
  const split = <A extends { readonly caller?: Caller | undefined }>(request: A) => {
    try {
      const { caller, ...input } = request
      return [eventOf(caller), input] as const
    } catch {
      return [{}, request] as const
    }
  }
  /** Opened at the first use: most suites have none. */
  let second: ManagedRuntime.ManagedRuntime<Memberships | Erasure | SyncGateway, any> | undefined
  const services = () =>
    (second ??= ManagedRuntime.make(Layer.provide(sqlLayer(file), Logger.remove(Logger.defaultLogger))))
  const memberships = async (): Promise<MembershipCalls> =>
    membershipCalls(await services().runPromise(Memberships), services())
  const erasure = async () => erasureCalls(await services().runPromise(Erasure), services())
  /** The adapters refuse short windows, which only a program may ask for: so does this, beside the adapters. */
  const collect = (method: 'gcChangeLog' | 'gcTombstones') => async (request: RetentionRequest) => {
    const [event, input] = split(request)
    if (!isShort(input)) return asRefused(gateway[method](event, input))
    const run = runner(services())
    return run(
      Effect.flatMap(SyncGateway, (direct) =>
        Effect.asVoid<unknown, ServiceError, never>(direct[method](request)),
      ),
    )
  }
  return {
    name,
    file,
    push: async (request) => {
      const [event, input] = split(request)
      const results: Array<HostPushResult> = []
      let serverVersion = 0
      if (!isReadable(input)) await asRefused(gateway.push(event, input))
      for (const ops of withoutRepeats((Object(input) as PushRequest).ops)) {
        const answer = await asRefused(gateway.push(event, { ...input, ops }))
        checkPushAnswer({ ops }, answer)
        results.push(...answer.results)
        serverVersion = answer.serverVersion
      }
      return {
        verdicts: results.map(verdictOfResult),
        serverVersion,
        details: results.map(detailOfResult),
      }
    },
    pull: async (request) => {
      const [event, input] = split(request)
      const answer = await asRefused(gateway.pull(event, input as never))
      checkPullAnswer(request, answer)
      const { oldestRetainedVersion, requiresSnapshot, ...page } = answer
      expect({ oldestRetainedVersion, requiresSnapshot }).toEqual({
        oldestRetainedVersion: 0,
        requiresSnapshot: false,
      })
      return page
    },
    snapshot: async (request) => {
      const [event, input] = split(request)
      return checked(request, await asRefused(gateway.snapshot(event, input as never)))
    },
    updateCursor: async (request) => asRefused(gateway.updateCursor(...split(request))),
    gcChangeLog: collect('gcChangeLog'),
    gcTombstones: collect('gcTombstones'),
    files: fileCallsOfAdapter(gateway, split, asRefused),
    store: host.workspaceStore,
    host,
    listWorkspaceIds: () => asRefused(gateway.listWorkspaceIds({})),
    memberships: {
      addMember: async (request) => (await memberships()).addMember(request),
      setRole: async (request) => (await memberships()).setRole(request),
      removeMember: async (request) => (await memberships()).removeMember(request),
      listMembers: async (workspaceId) => (await memberships()).listMembers(workspaceId),
    },
    erasure: {
      previewPurge: async (request) => (await erasure()).previewPurge(request),
      purgeWorkspace: async (request) => (await erasure()).purgeWorkspace(request),
      previewErasure: async (request) => (await erasure()).previewErasure(request),
      eraseUser: async (request) => (await erasure()).eraseUser(request),
    },
    view: async (workspaceId) => {
      const database = new Sqlite(file, { readonly: true })
      try {
        return await viewOfSql(
          (statements) => statements.map((sql) => database.prepare(sql).all()),
          workspaceId,
        )
      } finally {
        database.close()
      }
    },
    close: async () => {
      await second?.dispose()
      await provider.close()
      remove()
    },
  }
}

export const throughAdapters = () =>
  through('adapters', (env) => {
    const { ready: _ready, ...provider } = openProvider({ env })
    return provider
  })

export const throughBun = () => through('bun', openInBun)
