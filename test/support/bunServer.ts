/**
 * Runs in Bun: opens providers, and calls their methods as it is told, a line for each call and each answer.
 */
import { HostError, openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { fromLine, lines, toLine } from './wire.js'

/** Those that answer at once: their answers are the same each time, and go along with the rest. */
const immediate =
  /^(create(WorkspaceAccess|WorkspaceSettings|AdminUser)Store|getCapabilities|getAbortController)$/

type Method = (...args: ReadonlyArray<unknown>) => unknown

const providers = new Map<number, { readonly provider: Provider; readonly methods: Array<Method> }>()

/** What a provider has: a method by its number, and everything else as it is. */
const described = (value: unknown, methods: Array<Method>): unknown => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { value }
  const parts = Object.entries(value).map(([name, part]: [string, unknown]) => {
    if (typeof part !== 'function') return [name, described(part, methods)]
    const method = (part as Method).bind(value)
    if (immediate.test(name)) return [name, { made: described(method(), methods) }]
    return [name, { method: methods.push(method) - 1 }]
  })
  return { parts: Object.fromEntries(parts) }
}

const open = (id: number, env: Record<string, string>) => {
  const provider = openProvider({ env })
  const { ready: _ready, close: _close, ...adapters } = provider
  const methods: Array<Method> = []
  providers.set(id, { provider, methods })
  return described(adapters, methods)
}

const close = async (id: number) => {
  await providers.get(id)!.provider.close()
  providers.delete(id)
}

type Request =
  | readonly ['open', id: number, env: Record<string, string>]
  | readonly ['call', id: number, method: number, args: ReadonlyArray<unknown>]
  | readonly ['close', id: number]

const run = ([kind, id, ...rest]: Request): unknown => {
  switch (kind) {
    case 'open':
      return open(id, rest[0] as Record<string, string>)
    case 'call':
      return providers.get(id)!.methods[rest[0] as number]!(...(rest[1] as ReadonlyArray<unknown>))
    case 'close':
      return close(id)
  }
}

const failure = (error: unknown) =>
  error instanceof HostError
    ? { refused: [error.statusCode, error.message] }
    : { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }

const own = { now: Date.now, uuid: crypto.randomUUID.bind(crypto) }

interface MadeUp {
  readonly now: number | undefined
  readonly uuid: ReturnType<typeof crypto.randomUUID> | undefined
}

/** Standard output is for the answers alone. */
console.log = () => {}

const answer = async (line: string) => {
  const [id, { now, uuid }, request] = fromLine(line) as [number, MadeUp, Request]
  Date.now = now === undefined ? own.now : () => now
  crypto.randomUUID = uuid === undefined ? own.uuid : () => uuid
  let outcome: object
  try {
    outcome = { answer: await run(request) }
  } catch (error) {
    outcome = failure(error)
  }
  process.stdout.write(toLine([id, outcome]))
}

process.stdin.setEncoding('utf8').on(
  'data',
  lines((line) => void answer(line)),
)
process.stdin.on('end', () => process.exit(0))
