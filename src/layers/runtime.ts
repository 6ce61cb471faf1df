/**
 * What runs this program: Node, or Bun.
 */
import type { Driver } from '../services/ProviderConfig.js'

/** Bun says that it is Node as well. */
export const isBun = globalThis.process?.versions?.bun !== undefined

/** The engine that this runtime has in the process; it can load no other one. */
export const nativeDriver = (isBun ? 'bun' : 'better-sqlite3') satisfies Driver

/** Whether an engine is SQLite in the process, which keeps its data in a file or in memory. */
export const isInProcess = (driver: Driver): driver is 'better-sqlite3' | 'bun' =>
  driver === 'better-sqlite3' || driver === 'bun'

/** Whether an engine is in the process, but of the other runtime. */
export const isForeign = (driver: Driver): boolean => driver !== nativeDriver && isInProcess(driver)

/** What is wrong with the other engine's choice, and what to do. */
export const foreignDriver = (chosen: string): string =>
  isBun
    ? `is "${chosen}", an addon of Node that Bun does not load: set it to bun, or unset it`
    : `is "${chosen}", which only Bun has, but this process is Node ${process.version}: start it with Bun, or set it to better-sqlite3`
