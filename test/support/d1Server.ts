/**
 * Databases of D1 in workerd, Cloudflare's own runtime, started once for many of them. A Worker runs there on its bindings what it is
 * sent, a batch at a time: bindings from afar, as `miniflare` has them, ask for each statement on its own.
 */
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { Miniflare } from 'miniflare'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { temporaryFolder } from './temporaryFolder.js'

/** Databases of one runtime. */
const many = 64

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
    d1Databases: Array.from({ length: many }, (_, place) => nameOf(place)),
    d1Persist: folder,
    // Else each batch goes through a Worker of Miniflare's, which takes ten times as long as the way from here.
    unsafeDirectSockets: [{}],
  })
  process.once('exit', remove)
  await runtime.ready
  return runtime.unsafeGetDirectURL()
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

const agent = new Agent({ keepAlive: true })

/** Not by `fetch`, which takes the processor four times as long. */
const post = (url: URL, body: string) =>
  new Promise<string>((resolve, reject) =>
    request(url, { method: 'POST', agent }, (answer) =>
      text(answer).then(
        (said) => (answer.statusCode === 200 ? resolve(said) : reject(new Error(said))),
        reject,
      ),
    )
      .on('error', reject)
      .end(body),
  )

const bindingAt = (url: URL): D1Binding => ({
  prepare: (sql) => prepared(sql),
  batch: async (statements: ReadonlyArray<Sent>) =>
    JSON.parse(await post(url, JSON.stringify(statements))) as Awaited<ReturnType<D1Binding['batch']>>,
})

let runtime: Promise<URL>
let made = 0

/** A database without anything. */
export const newD1 = async (): Promise<D1Binding> => {
  const place = made++ % many
  if (place === 0) runtime = start()
  return bindingAt(new URL(nameOf(place), await runtime))
}
