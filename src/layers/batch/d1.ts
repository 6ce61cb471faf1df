/**
 * The engine of Cloudflare D1: batches through a Worker's binding.
 */
import { Context, Duration, Effect, Layer } from 'effect'
import { ProviderConfig } from '../../services/ProviderConfig.js'
import { DatabaseOpenError } from '../../services/StorageError.js'
import type { Param, Row, Statement } from '../sql/batch.js'
import { Batches } from '../sql/Batches.js'
import { failureOf } from './d1Errors.js'
import { batchesOver } from './network.js'
import { wellFormed } from './wellFormed.js'

/** As much of Cloudflare's `D1PreparedStatement` as is used here. */
export interface D1Statement {
  /** With these values for its parameters. */
  bind(...values: ReadonlyArray<unknown>): D1Statement
}

/** As much of Cloudflare's `D1Database` as is used here: what a Worker has as `env.DB`. */
export interface D1Binding {
  /** A statement, which is run by `batch`. */
  prepare(sql: string): D1Statement
  /** Runs all statements or none, one after the other. */
  batch(statements: Array<any>): Promise<ReadonlyArray<{ readonly results?: ReadonlyArray<unknown> | null }>>
}

/**
 * The binding that is used. Without one, the binding that `OR3_SQLITE_D1_BINDING` names is looked for in `globalThis.__env__`, where
 * Nitro puts what a Worker has.
 */
export class D1 extends Context.Reference<D1>()('or3-provider-sqlite/D1', {
  defaultValue: (): D1Binding | undefined => undefined,
}) {}

const isBinding = (value: unknown): value is D1Binding =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as Partial<D1Binding>).prepare === 'function' &&
  typeof (value as Partial<D1Binding>).batch === 'function'

/** What a Worker's environment has under a name, if it is a database. */
export const bindingIn = (env: unknown, name: string): D1Binding | undefined => {
  const found = (env as Readonly<Record<string, unknown>> | undefined)?.[name]
  return isBinding(found) ? found : undefined
}

/** Places in a text where parameters stand. No text of ours has a question mark in a literal. */
const places = /\?/g

/**
 * A statement as D1 takes it. It binds every number as a floating one, so whole ones are cast: `1 || ''` is not `1.0 || ''`. It takes a
 * hundred parameters at most, and a list of a megabyte may stand in several places: so what is equal travels once.
 */
export const toD1 = ({ sql, params }: Statement): Statement => {
  const values: Array<Param> = []
  const numberOf = (value: Param) => {
    const known = values.indexOf(value)
    return known === -1 ? values.push(value) : known + 1
  }
  let next = 0
  const text = sql.replace(places, () => {
    const value = params[next++]!
    const place = `?${numberOf(typeof value === 'string' ? wellFormed(value) : value)}`
    return Number.isInteger(value) ? `CAST(${place} AS INTEGER)` : place
  })
  return { sql: text, params: values }
}

/** D1 gives up on a batch after 30 seconds; people do before. */
export const d1Timeout = Duration.seconds(15)

const missing = (name: string) =>
  new DatabaseOpenError({
    path: name,
    detail: `the Worker has no D1 database bound to ${name}: add it to [[d1_databases]] of the Worker's configuration, or set OR3_SQLITE_D1_BINDING to the name that it has`,
  })

const open = Effect.gen(function* () {
  const { dbPath: name, timeout } = yield* ProviderConfig
  const given = yield* D1
  const find = () => given ?? bindingIn((globalThis as { readonly __env__?: unknown }).__env__, name)
  if (find() === undefined) return yield* missing(name)
  const batches = batchesOver({
    timeout,
    failureOf,
    send: (statements) =>
      Effect.tryPromise(async () => {
        const database = find()!
        const bound = statements.map((statement) => {
          const { sql, params } = toD1(statement)
          return database.prepare(sql).bind(...params)
        })
        const answers = await database.batch(bound)
        return answers.map(({ results }) => (results ?? []) as ReadonlyArray<Row>)
      }),
  })
  return Batches.of({ ...batches, endsWithCalls: true })
})

/** Asks nothing of the database while it is built. */
export const layer: Layer.Layer<Batches, DatabaseOpenError, ProviderConfig> = Layer.effect(Batches, open)
