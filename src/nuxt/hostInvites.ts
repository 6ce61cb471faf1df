/**
 * What the host's pages about invites, and its registration, ask of the workspace store. The names are the host's.
 */
import type { Invite, InviteClaim, InviteQuery, InviteReason, NewInvite } from '../services/Invites.js'
import type { Identity, Role } from '../services/WorkspaceStore.js'

/** The invite is worth nothing, and nothing was changed. */
export interface HostInviteRefused {
  /** Tells it from what is granted. */
  readonly ok: false
  /** `token_mismatch` is told by `consumeInvite`, `email_mismatch` by the others. */
  readonly reason: InviteReason
}

/** What an invite gives. */
export interface HostInviteGranted {
  /** Tells it from what is refused. */
  readonly ok: true
  /** Of the invite; where it was used, the one that the user has then. */
  readonly role: Role
}

/** The part of the host's workspace store that is about invites. Its calls reject as the other ones do. */
export interface HostInvites {
  /** Needs owner, or an administrator of the deployment. `expiresAt` is in epoch seconds, later than now. */
  createInvite(request: NewInvite): Promise<{ inviteId: string }>
  /** Of a live workspace, newest first; 404 for another. */
  listInvites(query: InviteQuery): Promise<ReadonlyArray<Invite>>
  /** Needs owner, or an administrator of the deployment. 404 for an unknown invite; one that is no longer pending stays. */
  revokeInvite(request: {
    readonly workspaceId: string
    readonly inviteId: string
    readonly revokedByUserId: string
  }): Promise<void>
  /** Changes nothing. */
  validateInvite(claim: InviteClaim): Promise<HostInviteGranted | HostInviteRefused>
  /** For a user who is known, else 404. Never lowers a role; the active workspace stays. */
  consumeInvite(
    claim: InviteClaim & { readonly acceptedUserId: string },
  ): Promise<HostInviteGranted | HostInviteRefused>
  /** Finds or makes the user and lets them in, with the workspace as the active one; all of it, or nothing. */
  acceptInviteAndProvisionUser(
    claim: InviteClaim & Identity,
  ): Promise<(HostInviteGranted & { userId: string; createdUser: boolean }) | HostInviteRefused>
}
