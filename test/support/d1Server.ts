/**
 * Databases of D1 in workerd, Cloudflare's own runtime, started once for a test file. A Worker runs there on its bindings what it is
 * sent, a batch at a time: bindings from afar, as `miniflare` has them, ask for each statement on its own.
 */
import { Miniflare } from 'miniflare'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { temporaryFolder } from './temporaryFolder.js'

/** Databases that a test file can have at once. */
const most = 64

const nameOf = (place: number) => `DB${place}`

const script = `
export default {
  async fetch(request, env) {
    const database = env[new URL(request.url).pathname.slice(1)]
    try {
      const statements = (await request.json()).map(({ sql, params }) => database.prepare(sql).bind(...params))
      return Response.json((await database.batch(statements)).map(({ results }) => ({ results })))
    } catch (error) {
      return new Response(error.message, { status: 500 })
    }
  },
}`

const start = async () => {
  const { folder, remove } = temporaryFolder()
  const runtime = new Miniflare({
    modules: true,
    script,
    // Of all dates that tests set, none is before.
    compatibilityDate: '2022-01-01',
    d1Databases: Array.from({ length: most }, (_, place) => nameOf(place)),
    d1Persist: folder,
  })
  process.once('exit', remove)
  return runtime.ready
}

interface Sent {
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  bind(...values: ReadonlyArray<unknown>): Sent
}

const prepared = (sql: string, params: ReadonlyArray<unknown> = []): Sent => ({
  sql,
  params,
  bind: (...values) => prepared(sql, values),
})

const bindingAt = (url: URL): D1Binding => ({
  prepare: (sql) => prepared(sql),
  batch: async (statements: ReadonlyArray<Sent>) => {
    const answer = await fetch(url, { method: 'POST', body: JSON.stringify(statements) })
    if (!answer.ok) throw new Error(await answer.text())
    return (await answer.json()) as Awaited<ReturnType<D1Binding['batch']>>
  },
})

let runtime: Promise<URL> | undefined
let made = 0

/** A database without anything. */
export const newD1 = async (): Promise<D1Binding> => {
  runtime ??= start()
  if (made === most) throw new Error(`a test file has ${most} databases of D1 at most`)
  return bindingAt(new URL(nameOf(made++), await runtime))
}

const rowsOf = async (binding: D1Binding, sql: string) =>
  (await binding.batch([binding.prepare(sql)]))[0]!.results as ReadonlyArray<{ readonly name: string }>

const tables = `
  SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_cf%'
    AND name <> 'effect_sql_migrations'`

/** As it was when it had just been migrated. */
const empty = async (binding: D1Binding) => {
  const names = (await rowsOf(binding, tables)).map(({ name }) => name)
  const statements = ['PRAGMA defer_foreign_keys = ON', ...names.map((name) => `DELETE FROM ${name}`)]
  await binding.batch(statements.map((sql) => binding.prepare(sql)))
}

const free: Array<D1Binding> = []

export interface LentD1 {
  readonly binding: D1Binding
  readonly giveBack: () => Promise<void>
}

/** A migrated database without anything; emptying one for the next test takes a twentieth of the time that making one does. */
export const lendD1 = async (migrate: (binding: D1Binding) => Promise<unknown>): Promise<LentD1> => {
  let binding = free.pop()
  if (binding === undefined) {
    binding = await newD1()
    await migrate(binding)
  }
  const lent = binding
  return {
    binding: lent,
    giveBack: async () => {
      await empty(lent)
      free.push(lent)
    },
  }
}
