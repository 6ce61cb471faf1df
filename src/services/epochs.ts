/**
 * What happens to server versions when a database turns out to be older than its devices.
 *
 * After a backup was restored, devices hold cursors beyond the workspace's high watermark, and would never see the changes
 * that get those versions now. So the workspace leaps: all its versions rise above any such cursor, by whole epochs. Every
 * device then pulls the workspace anew, and last writer wins makes that harmless.
 *
 * A leap costs the same however much the workspace holds: what is stored stays, and an offset of the workspace is added to
 * whatever is shown. Cursors are of devices, so they are what was shown.
 *
 * **Why a cursor is evidence enough.** A pull names no device, and a report of a cursor comes from whoever may read, as the pull
 * does; a device that the server has met says no more, since one that came after the backup was made is just as much in need.
 * So both ways to be wrong were weighed. Not to leap for a real device costs it changes for ever. To leap for a forged cursor
 * costs one small write, and each device of the workspace one pull of what it has already, at most once a day.
 */

/** The versions of one epoch. A safe integer holds two million. */
export const leapSize = 2 ** 32

/** How many epochs a device may be ahead, of its workspace or of the time, and still be believed. */
const believable = 16

/** 2026-01-01 in epoch seconds, and how long it takes the time to pass an epoch: so they last until 2065. */
const [firstEpoch, epochSeconds] = [1_767_225_600, 600]

/**
 * What leaps go over of which nobody knows how far devices have got, `now` in epoch seconds. It rises with the time: else one backup that
 * is restored twice would begin twice with the same versions, and devices that have them from the first time would miss the second.
 */
export const assumedSeen = (now: number): number =>
  leapSize * Math.max(0, Math.floor((now - firstEpoch) / epochSeconds))

/** A workspace leaps for a device once in this many seconds, so that nobody can make all others pull everything for ever. */
const leapPause = 86_400

/** By how much to rise so as to begin an epoch after the one that `seen` is in. */
export const leapOver = (seen: number, current: number): number =>
  leapSize *
  (Math.max(Math.floor(seen / leapSize), Math.floor(current / leapSize)) + 1 - Math.floor(current / leapSize))

/**
 * Whether a cursor is ahead of a workspace as only one from before a restored backup is. A workspace that has stored no version
 * has nothing that could be missed.
 */
export const isFromBeforeRestore = (
  cursor: number,
  workspace: { readonly version: number; readonly stored: number; readonly leaptAt: number | null },
  now: number,
): boolean =>
  workspace.stored > 0 &&
  cursor > workspace.version &&
  cursor <= Math.max(workspace.version, assumedSeen(now)) + believable * leapSize &&
  (workspace.leaptAt === null || now - workspace.leaptAt >= leapPause)

/**
 * Whether nothing has leapt since a workspace's high watermark was this one. A watermark above the version is of a database
 * that has been replaced by an older one.
 */
export const isOfThisEpoch = (watermark: number, version: number): boolean =>
  watermark <= version && Math.floor(watermark / leapSize) === Math.floor(version / leapSize)

/**
 * The clock under which an op counts in a workspace that was restored.
 *
 * Devices may hold revisions that the server has lost, and would keep them against what is written from now on. So the
 * restored rows, and whatever a device writes that does not know of the restore yet, count above all that was lost.
 */
export const rebasedClock = (clock: number, clockBase: number): number =>
  clock >= clockBase ? clock : clockBase + (clock % leapSize)

/** Clocks as devices know them: a safe integer, as theirs are. */
export const shownClock = (stored: number, clockOffset: number): number =>
  Math.min(stored + clockOffset, Number.MAX_SAFE_INTEGER)
