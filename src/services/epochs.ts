/**
 * What happens to server versions when a database turns out to be older than its devices.
 *
 * After a backup was restored, devices hold cursors beyond the workspace's high watermark, and would never see the changes
 * that get those versions now. So the workspace leaps: its high watermark, its floor and the versions of its rows all rise
 * by more than any such cursor. Every device then pulls the rows anew, and last writer wins makes that harmless.
 */

/** How far a workspace leaps. A safe integer holds two million leaps. */
export const leapSize = 2 ** 32

/** A workspace leaps for a device once in this many seconds, so that nobody can make all others pull everything for ever. */
export const leapPause = 86_400

/** Whether a cursor is ahead of a workspace as only one from before a restored backup is. */
export const isFromBeforeRestore = (
  cursor: number,
  workspace: { readonly version: number; readonly leaptAt: number | null },
  now: number,
): boolean =>
  cursor > workspace.version &&
  cursor <= workspace.version + leapSize &&
  (workspace.leaptAt === null || now - workspace.leaptAt >= leapPause)

/**
 * The clock under which an op counts in a workspace that was restored.
 *
 * Devices may hold revisions that the server has lost, and would keep them against what is written from now on. So the
 * restored rows, and whatever a device writes that does not know of the restore yet, count above all that was lost.
 */
export const rebasedClock = (clock: number, clockBase: number): number =>
  clock >= clockBase ? clock : clockBase + (clock % leapSize)
