/**
 * Small file systems of their own, where the tests may mount them.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

const run = (command: string, ...args: ReadonlyArray<string>) => spawnSync(command, args).status === 0

export interface Mount {
  readonly makeReadOnly: () => boolean
  readonly unmount: () => void
}

/** A file system in memory with this many KiB; undefined where it may not be mounted. */
export const mountSmall = (folder: string, kibibytes: number): Mount | undefined => {
  mkdirSync(folder, { recursive: true })
  if (!run('mount', '-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', folder)) return undefined
  return {
    makeReadOnly: () => run('mount', '-o', 'remount,ro', folder),
    unmount: () => run('umount', '--lazy', folder),
  }
}
