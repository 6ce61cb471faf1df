/**
 * Bun, as the npm package of that name has it, and providers that live in a process of it.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { vi } from 'vitest'
import type { Adapters } from '../../src/nuxt/adapters.js'
import { HostError } from '../../src/nuxt/httpErrors.js'
import { cleanEnv, type Env, faultsIn, root } from './run.js'
import { fromLine, lines, toLine } from './wire.js'

/** The program. */
export const bun = join(root, 'node_modules/.bin/bun')

interface Outcome {
  readonly answer?: unknown
  readonly refused?: readonly [status: number, message: string]
  readonly failed?: string
}

type Call = (...request: ReadonlyArray<unknown>) => Promise<unknown>

/** A test's own clock and ids, which Bun's calls are to have as well. */
const madeUp = () => ({
  now: vi.isFakeTimers() ? Date.now() : undefined,
  uuid: vi.isMockFunction(crypto.randomUUID) ? crypto.randomUUID() : undefined,
})

/** One process for all providers of a test file: it is there in half a second, and a provider in some milliseconds. */
const startServer = (): Call => {
  const child = spawn(bun, [join(root, 'test/support/bunServer.ts')], {
    env: cleanEnv(),
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)))
  process.once('exit', () => child.kill('SIGKILL'))
  const waiting = new Map<number, (outcome: Outcome) => void>()
  const end = (why: string) => {
    for (const settle of waiting.values()) settle({ failed: why })
    waiting.clear()
  }
  child.on('error', (error) => end(`Bun does not start: ${error.message}`))
  child.on('close', (code, signal) => end(`Bun ended with ${code ?? signal}: ${faultsIn(stderr)}`))
  child.stdin.on('error', () => {})
  child.stdout.setEncoding('utf8').on(
    'data',
    lines((line) => {
      const [id, outcome] = fromLine(line) as [number, Outcome]
      waiting.get(id)?.(outcome)
      waiting.delete(id)
    }),
  )
  let calls = 0
  return (...request) =>
    new Promise((resolve, reject) => {
      const id = ++calls
      waiting.set(id, ({ answer, refused, failed }) => {
        if (refused !== undefined) reject(new HostError(...refused))
        else if (failed !== undefined) reject(new Error(failed))
        else resolve(answer)
      })
      child.stdin.write(toLine([id, madeUp(), request]))
    })
}

interface Described {
  readonly value?: unknown
  readonly parts?: Readonly<Record<string, Described>>
  readonly made?: Described
  readonly method?: number
}

let server: Call | undefined
let providers = 0

/** A provider in a process of Bun, with every method that the same would have here. */
export const openInBun = async (env: Env): Promise<Adapters & { close(): Promise<void> }> => {
  const call = (server ??= startServer())
  const id = ++providers
  const rebuilt = ({ value, parts, made, method }: Described): unknown => {
    if (method !== undefined) return (...args: ReadonlyArray<unknown>) => call('call', id, method, args)
    if (made !== undefined) {
      const result = rebuilt(made)
      return () => result
    }
    return parts === undefined
      ? value
      : Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, rebuilt(part)]))
  }
  const adapters = rebuilt((await call('open', id, env)) as Described) as Adapters
  return { ...adapters, close: async () => void (await call('close', id)) }
}
