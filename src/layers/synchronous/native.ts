/**
 * SQLite in the process: that of this runtime.
 */
import { isBun } from '../runtime.js'
import { betterSqlite3 } from './betterSqlite3.js'
import { bunSqlite } from './bunSqlite.js'
import type { NativeSqlite } from './sqlite.js'

export const native: NativeSqlite = isBun ? bunSqlite : betterSqlite3
