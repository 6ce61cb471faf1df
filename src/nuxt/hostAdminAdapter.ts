/**
 * The host's contract for what its admin pages show of a provider, and can have it do.
 */
import type { DatabaseFacts } from '../services/DatabaseReport.js'
import type { MaintenanceState } from '../services/Maintenance.js'

/** The part of a session that is read. */
export interface AdminSession {
  /** The administrator's current one. */
  readonly workspace?: HostWorkspace | null | undefined
}

/** The part of a workspace that is read. */
export interface HostWorkspace {
  /** Its id. */
  readonly id?: unknown
}

/** Whose workspace an action is about. */
export interface AdminContext {
  /** Of the administrator. */
  readonly session?: AdminSession | null | undefined
}

/** Something that an operator can mend. */
export interface AdminWarning {
  /** `error` says that the provider is of no use now. */
  readonly level: 'warning' | 'error'
  /** What is wrong and what to do, in one line. */
  readonly message: string
}

/** What an administrator can have done. */
export interface AdminAction {
  /** What `runAction` takes. */
  readonly id: string
  /** On a button. */
  readonly label: string
  /** What it does. */
  readonly description: string
  /** Whether it takes something away for good. */
  readonly danger?: boolean
}

/** What is shown of the provider. */
export interface AdminDetails extends Partial<DatabaseFacts> {
  /** Whether garbage is collected, and how much waits. */
  readonly maintenance: MaintenanceState
}

/** How the provider stands. */
export interface AdminStatus {
  /** The database, its size and settings, and its garbage collection. Of one that does not answer only what it is. */
  readonly details: AdminDetails
  /** Empty when there is nothing to do. */
  readonly warnings: ReadonlyArray<AdminWarning>
  /** What `runAction` takes. */
  readonly actions: ReadonlyArray<AdminAction>
}

/** The host's admin adapter. The host has made sure that an administrator asks; nothing looks at the event. */
export interface ProviderAdminAdapter {
  /** `sqlite`. */
  readonly id: string
  /** `sync`. */
  readonly kind: string
  /** How the provider stands. A database that does not answer is a warning of level `error`. */
  getStatus(event?: unknown, context?: AdminContext): Promise<AdminStatus>
  /**
   * Runs an action on the workspace of the context's session, with the window of `OR3_SQLITE_GC_RETENTION`; gives how many of what
   * it removed. 400 for an unknown action, and without a workspace.
   */
  runAction(event: unknown, actionId: string, payload?: unknown, context?: AdminContext): Promise<object>
}
