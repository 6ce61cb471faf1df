/**
 * The built host as a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { builtHost, type Generation } from './builtHost.js'
import { freePort } from './freePort.js'
import { cleanEnv, type Env, faultsIn } from './run.js'

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Server {
  readonly url: string
  readonly pid: number
  /** Signals the process and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>
}

const running = new Set<ChildProcess>()

/** For `afterEach` or `afterAll`: nothing that a failed test has started lives on. */
export const killServers = () => {
  for (const child of running) child.kill('SIGKILL')
}

/** Starts a program, to be ended by `killServers` at the latest. */
export const start = (command: string, args: ReadonlyArray<string>, options: { cwd?: string; env: Env }) => {
  const child = spawn(command, args, {
    ...options,
    env: cleanEnv(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => (said[stream] += chunk))
  }
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code, stdout: said.stdout, stderr: faultsIn(said.stderr) })
    })
  })
  return { child, said, ended }
}

let program = 'node'

/** What runs the hosts of this test file. */
export const hostProgram = () => program

/** Has all hosts of this test file run by another program than Node. */
export const runHostsBy = (other: string) => {
  program = other
  // The next file of this worker has the same module.
  afterAll(() => void (program = 'node'))
}

const startHost = async (env: Env, generation: Generation) => {
  const { output } = await builtHost(generation)
  const port = await freePort()
  const entry = join(output, 'server/index.mjs')
  const process = start(program, [entry], {
    cwd: output,
    env: { PORT: `${port}`, HOST: '127.0.0.1', ...env },
  })
  return { ...process, url: `http://127.0.0.1:${port}` }
}

/** Starts the built host and waits until it listens. The development sign-in is on. */
export const startServer = async (env: Env, generation: Generation = 'february'): Promise<Server> => {
  const { child, said, ended, url } = await startHost({ NUXT_DEV_SIGN_IN: 'true', ...env }, generation)
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', () => said.stdout.includes('Listening on') && resolve())
    ended.then(({ code, stderr }) => reject(new Error(`the server ended with ${code}: ${stderr}`)), reject)
  })
  return {
    url,
    pid: child.pid!,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
  }
}

/** Starts the built host, which is expected to end by itself. */
export const runServer = async (env: Env, generation: Generation = 'february'): Promise<Ended> =>
  (await startHost(env, generation)).ended
