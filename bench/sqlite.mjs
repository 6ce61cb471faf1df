/**
 * SQLite's driver of the runtime, for the floor: better-sqlite3 on Node; on Bun its own, with as much of the same shape as is used.
 */
import { createRequire } from 'node:module'

const isBun = process.versions.bun !== undefined

const require = createRequire(import.meta.url)

/** Bun's statements answer null for no row, and have no modes. */
const statementOn = (statement) => ({
  all: (...params) => statement.all(...params),
  get: (...params) => statement.get(...params) ?? undefined,
  run: (...params) => statement.run(...params),
  raw: () => ({ all: (...params) => statement.values(...params) }),
  pluck: () => ({
    all: (...params) => statement.values(...params).map(([value]) => value),
    get: (...params) => statement.values(...params)[0]?.[0],
  }),
})

const ofBun = () => {
  const { Database } = require('bun:sqlite')
  return class {
    constructor(path, { readonly = false } = {}) {
      this.database = new Database(path, {
        strict: true,
        ...(readonly ? { readonly } : { readwrite: true, create: true }),
      })
      this.database.run('PRAGMA busy_timeout = 5000')
    }
    prepare(sql) {
      return statementOn(this.database.prepare(sql))
    }
    exec(sql) {
      this.database.run(sql)
    }
    pragma(text) {
      this.database.prepare(`PRAGMA ${text}`).all()
    }
    transaction(body) {
      return this.database.transaction(body)
    }
    close() {
      this.database.close()
    }
  }
}

export const Sqlite = isBun ? ofBun() : require('better-sqlite3')

/** What the figures are of. */
export const engineName = () => {
  const version = new Sqlite(':memory:').prepare('SELECT sqlite_version()').pluck().get()
  return `${isBun ? `Bun ${process.versions.bun}` : `Node ${process.version}`}, SQLite ${version}`
}
