/**
 * What happens to server versions when a database turns out to be older than its devices.
 *
 * After a backup was restored, devices hold cursors beyond the workspace's high watermark, and would never see the changes
 * that get those versions now. So the workspace leaps: its high watermark, its floor and the versions of its rows all rise
 * above any such cursor, by whole epochs. Every device then pulls the rows anew, and last writer wins makes that harmless.
 */

/** The versions of one epoch. A safe integer holds two million. */
export const leapSize = 2 ** 32

/** How many epochs a device may be ahead and still be believed. */
const believable = 16

/** A workspace leaps for a device once in this many seconds, so that nobody can make all others pull everything for ever. */
const leapPause = 86_400

/** By how much to rise so as to begin an epoch after the one that `seen` is in. */
export const leapOver = (seen: number, current: number): number =>
  leapSize *
  (Math.max(Math.floor(seen / leapSize), Math.floor(current / leapSize)) + 1 - Math.floor(current / leapSize))

/** Whether a cursor is ahead of a workspace as only one from before a restored backup is. */
export const isFromBeforeRestore = (
  cursor: number,
  workspace: { readonly version: number; readonly leaptAt: number | null },
  now: number,
): boolean =>
  cursor > workspace.version &&
  cursor <= workspace.version + believable * leapSize &&
  (workspace.leaptAt === null || now - workspace.leaptAt >= leapPause)

/**
 * The clock under which an op counts in a workspace that was restored.
 *
 * Devices may hold revisions that the server has lost, and would keep them against what is written from now on. So the
 * restored rows, and whatever a device writes that does not know of the restore yet, count above all that was lost.
 */
export const rebasedClock = (clock: number, clockBase: number): number =>
  clock >= clockBase ? clock : clockBase + (clock % leapSize)
