/**
 * Invitations into a workspace, by e-mail.
 *
 * An invite is for one e-mail address and is accepted by whoever brings its token. What is stored of the token is a hash that
 * the caller made; it is a secret as the token is, and stands in no error, log or span. Addresses are trimmed and in lower case (`foldedEmail`),
 * here as in the database. An invite is pending until it is accepted, revoked or expires; only a pending one of a live workspace is
 * worth anything, and it is accepted once, whoever else tries at the same time.
 *
 * An invite is worth no more than its maker: those that a member made are revoked when they are removed, or are no owner any more,
 * unless they administer the deployment. Those that are addressed to a member are revoked when the member is removed. One that ended
 * is kept for 30 days, during which whoever comes with it is told what became of it.
 */
import { Context, type Effect, Schema } from 'effect'
import type { InvalidInput } from './InvalidInput.js'
import type { StorageError } from './StorageError.js'
import type {
  Identity,
  InvalidWorkspaceInput,
  Role,
  UserNotFound,
  WorkspaceForbidden,
  WorkspaceNotFound,
} from './WorkspaceStore.js'

/** What became of an invite. `expired`: nobody accepted or revoked it in time. */
export const InviteStatus = Schema.Literal('pending', 'accepted', 'revoked', 'expired')
export type InviteStatus = typeof InviteStatus.Type

/** Why an invite is not what its bearer takes it for. */
export const InviteReason = Schema.Literal(
  'not_found',
  'email_mismatch',
  'token_mismatch',
  'already_used',
  'revoked',
  'expired',
)
export type InviteReason = typeof InviteReason.Type

const explanation: Record<InviteReason, string> = {
  not_found: 'There is no such invite.',
  email_mismatch: 'The invite is for another e-mail address.',
  token_mismatch: 'The invite for this e-mail address has another token.',
  already_used: 'The invite was used before.',
  revoked: 'The invite was revoked.',
  expired: 'The invite has expired.',
}

/** The invite is worth nothing to its bearer. Nothing was changed. */
export class InviteRefused extends Schema.TaggedError<InviteRefused>('or3-provider-sqlite/InviteRefused')(
  'InviteRefused',
  {
    /** The first that holds, in the order of `InviteReason`. `token_mismatch` is for `consume`, `email_mismatch` for the others. */
    reason: InviteReason,
  },
) {
  override get message() {
    return explanation[this.reason]
  }
}

/** The workspace has no invite of this id. */
export class InviteNotFound extends Schema.TaggedError<InviteNotFound>('or3-provider-sqlite/InviteNotFound')(
  'InviteNotFound',
  {},
) {
  override get message() {
    return 'This invite does not exist.'
  }
}

/** An invite, as it stands now. */
export interface Invite {
  /** The invite's id. */
  readonly id: string
  /** Where it leads. */
  readonly workspaceId: string
  /** Trimmed, in lower case. */
  readonly email: string
  /** What its bearer may do then. */
  readonly role: Role
  /** Now. */
  readonly status: InviteStatus
  /** Who made it. */
  readonly invitedByUserId: string
  /** Epoch seconds; it is pending before that time. */
  readonly expiresAt: number
  /** As given. A secret. */
  readonly tokenHash: string
  /** Epoch seconds; null while it was not accepted. */
  readonly acceptedAt: number | null
  /** Who accepted it; null while nobody did. */
  readonly acceptedUserId: string | null
  /** Epoch seconds; null while it was not revoked. */
  readonly revokedAt: number | null
  /** Epoch seconds. */
  readonly createdAt: number
  /** Epoch seconds of the last change. */
  readonly updatedAt: number
}

/** An invite to make. */
export interface NewInvite {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** Trimmed, 3..320 characters with an `@`. */
  readonly email: string
  /** What its bearer may do then. */
  readonly role: Role
  /** Who invites: an owner of the workspace, or an administrator of the deployment. */
  readonly invitedByUserId: string
  /** Epoch seconds, or milliseconds above 1e11, later than now; a fraction is dropped. */
  readonly expiresAt: number
  /** 1..256 characters, compared as they are. */
  readonly tokenHash: string
}

/** Which invites. */
export interface InviteQuery {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** Of this status now; of any when absent. */
  readonly status?: InviteStatus | null | undefined
  /** At most so many: 1..500, and what is beyond counts as that; 100 when absent. */
  readonly limit?: number | null | undefined
}

/** What the bearer of an invite says. */
export interface InviteClaim {
  /** 1..256 characters. */
  readonly workspaceId: string
  /** Trimmed, 3..320 characters with an `@`. */
  readonly email: string
  /** 1..256 characters. */
  readonly tokenHash: string
}

/** Invitations into a workspace. Each call is one transaction, whatever other processes do. */
export class Invites extends Context.Tag('or3-provider-sqlite/Invites')<
  Invites,
  {
    /** Makes an invite. Needs owner, or an administrator of the deployment. There may be several for one address. */
    readonly create: (
      request: NewInvite,
    ) => Effect.Effect<
      { readonly inviteId: string },
      InvalidInput | WorkspaceNotFound | WorkspaceForbidden | StorageError
    >
    /** The invites of a live workspace, newest first. Trusted: whoever offers it to people checks permissions first. */
    readonly list: (
      request: InviteQuery,
    ) => Effect.Effect<ReadonlyArray<Invite>, InvalidInput | WorkspaceNotFound | StorageError>
    /** Ends a pending invite; any other stays as it is. Needs owner, or an administrator of the deployment. */
    readonly revoke: (request: {
      /** 1..256 characters. */
      readonly workspaceId: string
      /** 1..256 characters. */
      readonly inviteId: string
      /** Who revokes. */
      readonly revokedByUserId: string
    }) => Effect.Effect<
      void,
      InvalidInput | WorkspaceNotFound | WorkspaceForbidden | InviteNotFound | StorageError
    >
    /** What an invite would give: looked up by its token. Changes nothing. */
    readonly validate: (
      claim: InviteClaim,
    ) => Effect.Effect<{ readonly role: Role }, InvalidInput | InviteRefused | StorageError>
    /**
     * Uses an invite for a user who is known: looked up by its address. Makes the user a member, or raises a member's role and never
     * lowers it. Gives the role that the user has then. The active workspace stays.
     */
    readonly consume: (
      claim: InviteClaim & {
        /** Who gets in: 1..256 characters. */
        readonly acceptedUserId: string
      },
    ) => Effect.Effect<{ readonly role: Role }, InvalidInput | UserNotFound | InviteRefused | StorageError>
    /**
     * Uses an invite for an identity: looked up by its token. Finds the user or makes one, keeps what is said of the profile, makes the
     * user a member or raises the role, and makes the workspace the active one; or, when refused, does nothing of that.
     */
    readonly accept: (claim: InviteClaim & Identity) => Effect.Effect<
      {
        /** Who got in. */
        readonly userId: string
        /** That the user has now. */
        readonly role: Role
        /** Whether the identity was seen for the first time. */
        readonly createdUser: boolean
      },
      InvalidInput | InvalidWorkspaceInput | InviteRefused | StorageError
    >
  }
>() {}
