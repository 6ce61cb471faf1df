/**
 * Who has a file open, as far as the system tells: on Linux the open files of each process, of those this user may look at.
 *
 * SQLite's own locks tell too, under a write-ahead log. With the other journals an idle connection holds none.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'

export interface Holder {
  readonly pid: number
  readonly name: string
}

const entries = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The file that a path or a descriptor leads to, in whatever namespace of mounts. */
const identity = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

const nameOf = (pid: string) => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'a process'
  }
}

/** The other processes that have one of the files open. Empty where the system does not tell. */
export const holdersOf = (paths: ReadonlyArray<string>): ReadonlyArray<Holder> => {
  const wanted = new Set(paths.map(identity).filter((id) => id !== undefined))
  if (wanted.size === 0) return []
  return entries('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) =>
      entries(`/proc/${pid}/fd`).some((fd) => {
        const id = identity(`/proc/${pid}/fd/${fd}`)
        return id !== undefined && wanted.has(id)
      }),
    )
    .map((pid) => ({ pid: Number(pid), name: nameOf(pid) }))
}

export const holdersText = (holders: ReadonlyArray<Holder>): string =>
  holders.map(({ pid, name }) => `${name} (process ${pid})`).join(', ')
