/**
 * Engines in processes of their own, whose databases are used again: emptying one for the next test takes a fraction of the time that
 * making one does.
 */
import { Effect, Either, type Layer } from 'effect'
import { Batches } from '../../src/layers/sql/Batches.js'

/** Over a migrated database. */
type Engine = Layer.Layer<Batches, any>

const tables = `
  SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '_cf%'
    AND name <> 'effect_sql_migrations'`

const batchOf = (...sql: ReadonlyArray<string>) => ({
  statements: sql.map((text) => ({ sql: text, params: [] })),
  read: ([rows]: ReadonlyArray<ReadonlyArray<any>>) => Either.right(rows!),
})

/** Of the newest schema, which all of them have. */
let names: ReadonlyArray<string> | undefined

/** As it was when it had just been migrated. `first` comes before what would break references meanwhile. */
const emptied = (first: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { read, write } = yield* Batches
    names ??= (yield* read('test', batchOf(tables))).map(({ name }) => name as string)
    // A look at all of them costs less than emptying one, and a test fills few.
    const looks = names.map((name) => `EXISTS (SELECT 1 FROM ${name}) AS ${name}`)
    const [filled] = yield* read('test', batchOf(`SELECT ${looks.join(', ')}`))
    const full = names.filter((name) => filled[name] === 1)
    if (full.length === 0) return
    yield* write('test', batchOf(...first, ...full.map((name) => `DELETE FROM ${name}`)))
  })

/** Lends one that is free, else makes one. */
export const lender = (make: () => Promise<Engine>, ...first: ReadonlyArray<string>) => {
  const empty = emptied(first)
  const free: Array<Engine> = []
  return async () => {
    const engine = free.pop() ?? (await make())
    return {
      engine,
      giveBack: async () => {
        await Effect.runPromise(Effect.provide(empty, engine))
        free.push(engine)
      },
    }
  }
}
