/**
 * What a subject is: all services behind one face, however they are reached.
 *
 * A subject speaks in verdicts and HTTP statuses, since those are what all of them can tell alike.
 */
import type { Adapters } from '../../src/nuxt/adapters.js'
import type { AuthWorkspaceStore } from '../../src/nuxt/host.js'
import type { HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import type {
  CursorRequest,
  EraseReport,
  EraseRequest,
  Member,
  MemberKey,
  PullPage,
  PullRequest,
  PurgeReport,
  PurgeRequest,
  PushRequest,
  RetentionRequest,
  Role,
  SnapshotRequest,
} from '../../src/services/index.js'
import type { FileCalls } from './fileCalls.js'
import type { Detail, Verdict } from './verdicts.js'
import type { WorkspaceView } from './views.js'

export type SubjectName =
  'memory' | 'sqlite memory' | 'sqlite file' | 'batches' | 'turso file' | 'turso' | 'd1' | 'adapters' | 'bun'

/** Whether it takes many times as long for each call as a file in this process does. */
export const isFar = (name: string): boolean => name.startsWith('turso') || name === 'd1'

/** Whether it answers as hosts are answered. */
export const isOfHost = ({ name }: Subject): boolean => name === 'adapters' || name === 'bun'

/** Text as a subject reads it: of a file, Turso's client reads it up to a NUL. */
export const asRead = <A extends string | undefined>({ name }: Subject, text: A): A =>
  (name === 'turso file' ? text?.split('\0', 1)[0] : text) as A

/** The memberships as promises, which reject with the service's own typed errors. */
export interface MembershipCalls {
  addMember(request: MemberKey & { readonly role: Role }): Promise<void>
  setRole(request: MemberKey & { readonly role: Role }): Promise<void>
  removeMember(request: MemberKey): Promise<void>
  listMembers(workspaceId: string): Promise<ReadonlyArray<Member>>
}

/** Erasure as promises, which reject with the service's own typed errors. */
export type ErasureCalls = {
  readonly [Name in 'previewPurge' | 'purgeWorkspace']: (request: PurgeRequest) => Promise<PurgeReport>
} & {
  readonly [Name in 'previewErasure' | 'eraseUser']: (request: EraseRequest) => Promise<EraseReport>
}

export interface Subject {
  readonly name: SubjectName
  /** The database file, where there is one. */
  readonly file: string | undefined
  push(request: PushRequest): Promise<{
    readonly verdicts: ReadonlyArray<Verdict>
    readonly serverVersion: number
    /** One per verdict. */
    readonly details: ReadonlyArray<Detail>
  }>
  pull(request: PullRequest): Promise<PullPage>
  /** A page that does not pass the later host's checks is an error. */
  snapshot(request: SnapshotRequest): Promise<HostSnapshotPage>
  updateCursor(request: CursorRequest): Promise<void>
  gcChangeLog(request: RetentionRequest): Promise<void>
  gcTombstones(request: RetentionRequest): Promise<void>
  readonly files: FileCalls
  readonly store: AuthWorkspaceStore
  /** Every live workspace. */
  listWorkspaceIds(): Promise<ReadonlyArray<string>>
  /** No adapter of the host's: beside the adapters it is a second connection to the same file. */
  readonly memberships: MembershipCalls
  /** As `memberships`. */
  readonly erasure: ErasureCalls
  /** Everything that a host is given, whose calls reject with `Refused`. */
  readonly host: Adapters
  view(workspaceId: string): Promise<WorkspaceView>
  close(): Promise<void>
}
