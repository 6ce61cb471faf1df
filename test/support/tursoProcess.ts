/**
 * Turso's engine as a process that serves a database file over HTTP, and the one line of requests into it.
 *
 * Version 0.6.0 takes one request at a time, on one connection to the database, and closes the socket after each. It looks for
 * new sockets every 10 ms only, unless some wait already; so a few are kept waiting, and used in the order in which it takes them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './freePort.js'

const require = createRequire(import.meta.url)

/** The binary is in a package of this platform's own, beside the one that is asked for. */
const binary = (): string => {
  const manifest = require.resolve('turso/package.json')
  const { optionalDependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as {
    readonly optionalDependencies: Readonly<Record<string, string>>
  }
  const key = `-${process.platform}-${process.arch}`
  const name = Object.keys(optionalDependencies).find((name) => name.includes(key))
  if (name === undefined) throw new Error(`turso has no binary for ${key.slice(1)}`)
  const folder = dirname(createRequire(manifest).resolve(`${name}/package.json`))
  return join(folder, process.platform === 'win32' ? 'tursodb.exe' : 'tursodb')
}

/** Ends a process when this one ends, however that comes about. */
const guard = ({ pid }: ChildProcess): { readonly release: () => void } => {
  const script = 'trap "" INT TERM; read _; kill -9 "$0"'
  const watcher = spawn('sh', ['-c', script, `${pid}`], { stdio: ['pipe', 'ignore', 'ignore'] })
  watcher.on('error', () => {})
  watcher.unref()
  return { release: () => void watcher.kill('SIGKILL') }
}

/** More than two, or the next one comes too late. */
const sparesKept = 3

const host = '127.0.0.1'

export interface Answer {
  readonly status: number
  readonly body: string
}

/** What the server sent until it closed the socket. */
const received = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    const chunks: Array<Buffer> = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.on('error', reject)
  })

const answerIn = (text: string): Answer => {
  const end = text.indexOf('\r\n\r\n')
  const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1]
  if (end === -1 || status === undefined) throw new Error('the server is gone')
  return { status: Number(status), body: text.slice(end + 4) }
}

/** Requests in their order, one at a time. */
class Line {
  private spares: Array<Socket> = []
  private last: Promise<unknown> = Promise.resolve()

  constructor(private readonly port: number) {}

  send(body: string): Promise<Answer> {
    const answer = this.last.then(() => this.exchange(body))
    this.last = answer.catch(() => {})
    return answer
  }

  private async exchange(body: string): Promise<Answer> {
    while (this.spares.length < sparesKept) this.spares.push(this.open())
    const socket = this.spares.shift()!
    const text = received(socket)
    socket.write(
      `POST /v2/pipeline HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
    return answerIn(await text)
  }

  private open(): Socket {
    const socket = connect(this.port, host).setNoDelay()
    const drop = () => void (this.spares = this.spares.filter((spare) => spare !== socket))
    return socket.on('close', drop).on('error', drop)
  }

  close(): void {
    for (const socket of this.spares) socket.destroy()
    this.spares = []
  }
}

const ping = JSON.stringify({ requests: [{ type: 'execute', stmt: { sql: 'SELECT 1' } }] })

export interface TursoProcess {
  readonly pid: number
  /** Of a body of `/v2/pipeline`. Fails where the process is gone. */
  send(body: string): Promise<Answer>
  /** Ends the process, by default without warning, and waits for that; the file stays. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Serves a file, which is made when it is missing. Takes 20 to 40 ms. */
export const startTursoProcess = async (file: string): Promise<TursoProcess> => {
  const port = await freePort()
  const child = spawn(binary(), ['--sync-server', `${host}:${port}`, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const { release } = guard(child)
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-10_000)))
  const ended = once(child, 'exit').then(release)
  const line = new Line(port)
  while (
    !(await line.send(ping).then(
      ({ status }) => status === 200,
      () => false,
    ))
  ) {
    if ((child.exitCode ?? child.signalCode) !== null) throw new Error(`tursodb ended: ${said}`)
    await sleep(2)
  }
  return {
    pid: child.pid!,
    send: (body) => line.send(body),
    stop: async (signal = 'SIGKILL') => {
      child.kill(signal)
      line.close()
      await ended
    },
  }
}
