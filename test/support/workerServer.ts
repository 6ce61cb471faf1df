/**
 * The built host in workerd, Cloudflare's own runtime: isolates of one Worker on one D1 database.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { Log, LogLevel, Miniflare } from 'miniflare'
import type { D1Binding } from '../../src/layers/batch/d1.js'
import { builtWorker, wranglerToml } from './builtHost.js'
import { temporaryFolder } from './temporaryFolder.js'

export interface WorkerServer {
  /** Of each isolate. */
  readonly urls: ReadonlyArray<string>
  /** The database behind their back. */
  readonly database: D1Binding
  /** What was written to standard error so far. */
  readonly said: () => string
  /** Runs what the cron trigger runs. */
  readonly schedule: () => Promise<void>
  readonly stop: () => Promise<void>
}

const setting = (name: string) =>
  JSON.parse(new RegExp(`^${name} = (.*)$`, 'm').exec(wranglerToml())![1]!) as unknown

const modulesIn = (folder: string) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.mjs') && file !== 'index.mjs',
  )
  return ['index.mjs', ...files].map((file) => ({ type: 'ESModule' as const, path: join(folder, file) }))
}

interface Options {
  readonly isolates?: number
  readonly env?: Readonly<Record<string, string>>
}

/** Starts the built host on a new database. The development sign-in is on. */
export const startWorker = async ({ isolates = 1, env = {} }: Options = {}): Promise<WorkerServer> => {
  const { folder: modulesRoot } = await builtWorker()
  const { folder, remove } = temporaryFolder()
  const modules = modulesIn(modulesRoot)
  let said = ''
  const runtime = new Miniflare({
    log: new Log(LogLevel.ERROR),
    host: '127.0.0.1',
    d1Persist: folder,
    unsafeTriggerHandlers: true,
    handleRuntimeStdio: (_stdout: Readable, stderr: Readable) => {
      stderr.on('data', (chunk) => (said += String(chunk)))
    },
    workers: Array.from({ length: isolates }, (_, number) => ({
      name: `isolate-${number}`,
      modules,
      modulesRoot,
      compatibilityDate: setting('compatibility_date') as string,
      compatibilityFlags: setting('compatibility_flags') as Array<string>,
      bindings: { NUXT_DEV_SIGN_IN: 'true', ...env },
      d1Databases: { DB: 'or3-sync' },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    })),
  })
  const first = (await runtime.ready).origin
  const direct = Array.from({ length: isolates }, (_, number) =>
    runtime.unsafeGetDirectURL(`isolate-${number}`),
  )
  return {
    urls: (await Promise.all(direct)).map(({ origin }) => origin),
    database: (await runtime.getD1Database('DB', 'isolate-0')) as unknown as D1Binding,
    said: () => said,
    schedule: async () => {
      const answer = await fetch(`${first}/cdn-cgi/handler/scheduled`)
      if (!answer.ok) throw new Error(`the trigger answered ${answer.status}`)
    },
    stop: async () => {
      await runtime.dispose()
      remove()
    },
  }
}
