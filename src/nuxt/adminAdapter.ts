/**
 * What the host's admin pages show of the provider, and can have it do.
 */
import { Duration, Effect, Either } from 'effect'
import { storageMessage } from '../layers/causes.js'
import { InvalidRequest } from '../services/SyncErrors.js'
import type { DatabaseFacts } from '../services/DatabaseReport.js'
import type { MaintenanceState } from '../services/Maintenance.js'
import type { GatewayError, RetentionRequest, SyncGateway } from '../services/SyncGateway.js'
import type { Run } from './calls.js'
import type { AdminAction, AdminWarning, ProviderAdminAdapter } from './hostAdminAdapter.js'
import { readable } from './readable.js'

type Collect = (request: RetentionRequest) => Effect.Effect<object, GatewayError>

/** What can be done, and by which of the gateway's collections. */
const collections: ReadonlyArray<{
  readonly action: AdminAction
  readonly of: (gateway: SyncGateway['Type']) => Collect
}> = [
  {
    action: {
      id: 'sync.gc-change-log',
      label: 'Trim the change log',
      description:
        'Removes entries of this workspace that every device has seen and that are older than the retention window. No device loses a change.',
    },
    of: ({ gcChangeLog }) => gcChangeLog,
  },
  {
    action: {
      id: 'sync.gc-tombstones',
      label: 'Collect tombstones',
      description:
        'Erases what is left of deleted records of this workspace that every device has seen and that are older than the retention window.',
      danger: true,
    },
    of: ({ gcTombstones }) => gcTombstones,
  },
]

const actions = collections.map(({ action }) => action)

const mebibyte = 2 ** 20
/** Below this a disk is about to be full. */
const scarce = 256 * mebibyte
/** Log entries that wait although nobody collects. */
const neglected = 100_000

/** Only what an operator can do something about. */
const warningsOf = (
  { file, place }: DatabaseFacts,
  { enabled, state, lastError, backlog = 0 }: MaintenanceState,
): ReadonlyArray<AdminWarning> => {
  const found = [
    place === ':memory:' &&
      'the database is in memory and ends with the server: set OR3_SQLITE_DB_PATH to a file',
    file?.pragmas.synchronous === 'OFF' &&
      'a power cut can damage the database: set OR3_SQLITE_PRAGMA_SYNCHRONOUS to NORMAL',
    file?.diskBytes !== undefined &&
      file.diskBytes < scarce &&
      `the disk of the database has ${Math.floor(file.diskBytes / mebibyte)} MiB left: free some space`,
    state === 'failed' && `the last garbage collection failed: ${lastError}`,
    !enabled &&
      backlog >= neglected &&
      `${backlog.toLocaleString('en')} log entries wait for a collection, and none is scheduled: set OR3_SQLITE_GC_INTERVAL`,
  ]
  return found.flatMap((message) => (message === false ? [] : [{ level: 'warning' as const, message }]))
}

const invalid = (field: string, detail: string) => Effect.fail(new InvalidRequest({ field, detail }))

/** `retention` is the window of what an action removes. */
export const adminAdapter = (id: string, run: Run, retention: Duration.Duration): ProviderAdminAdapter => ({
  id,
  kind: 'sync',
  getStatus: () =>
    run(({ report, maintenance }) =>
      Effect.gen(function* () {
        const state = yield* maintenance.state
        const asked = yield* Effect.either(report.facts)
        const details = { ...Either.getOrElse(asked, () => report.known), maintenance: state }
        const warnings = Either.match(asked, {
          onLeft: (error): ReadonlyArray<AdminWarning> => [
            { level: 'error', message: storageMessage(error) },
          ],
          onRight: (facts) => warningsOf(facts, state),
        })
        return { details, warnings, actions }
      }),
    ),
  runAction: (_event, actionId, _payload, context) =>
    run(
      ({ gateway }) => {
        const collection = collections.find(({ action }) => action.id === actionId)
        if (collection === undefined) {
          return invalid('actionId', `is none of ${actions.map(({ id }) => id).join(', ')}`)
        }
        const { id: workspaceId } = readable(() => ({ id: context?.session?.workspace?.id }))
        if (typeof workspaceId !== 'string') return invalid('session', 'has no workspace')
        return collection.of(gateway)({
          scope: { workspaceId },
          retentionSeconds: Duration.toSeconds(retention),
        })
      },
      { takesLong: true },
    ),
})
