/**
 * What implementations of erasure share.
 */
import type { EraseReport } from './Erasure.js'

/** Ids in a refusal. */
export const mostNamed = 100

/** Of a user who was erased before. */
export const nothingToErase: EraseReport = {
  workspaces: 0,
  memberships: 0,
  identities: 0,
  invites: 0,
  jobs: 0,
  webhooks: 0,
  deliveries: 0,
  cursors: 0,
  notifications: 0,
}
