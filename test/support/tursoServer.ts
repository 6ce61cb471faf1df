/**
 * Turso for tests: the real engine on a file, behind a proxy that completes its protocol and takes orders.
 */
import { join } from 'node:path'
import { temporaryFolder } from './temporaryFolder.js'
import { startTursoProcess, type TursoProcess } from './tursoProcess.js'
import { type Proxy, startTursoProxy } from './tursoProxy.js'

export interface Turso {
  /** What the client talks to. */
  readonly url: string
  readonly proxy: Proxy
  readonly file: string
  /** Of the engine's process. */
  readonly pid: number
  /** Ends the engine's process, without warning; the proxy stays, and closes what comes in. */
  kill(): Promise<void>
  /** Kills the engine's process if it runs, and starts one on the same file. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** A server with an empty database, or with that of a file. Takes some 40 ms, and 30 MB while it runs. */
export const startTurso = async (given?: string): Promise<Turso> => {
  const { folder, remove } = temporaryFolder()
  const file = given ?? join(folder, 'turso.db')
  let engine: TursoProcess = await startTursoProcess(file)
  const proxy = await startTursoProxy({ send: (body) => engine.send(body) })
  const kill = () => engine.stop()
  return {
    url: proxy.url,
    proxy,
    file,
    get pid() {
      return engine.pid
    },
    kill,
    restart: async () => {
      await kill()
      engine = await startTursoProcess(file)
    },
    stop: async () => {
      await proxy.close()
      await kill()
      remove()
    },
  }
}
