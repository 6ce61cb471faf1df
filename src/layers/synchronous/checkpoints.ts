/**
 * Checkpoints in a thread of their own: what is committed goes from the write-ahead log into the database file in nobody's request.
 *
 * Without it, the commit that crosses SQLite's threshold pays for all before it, ten times a commit and more. The thread has a
 * connection of its own and checkpoints passively, so it holds nobody up. Under writes without pause it may never find the log done,
 * which alone lets a log begin anew: then it takes the write lock for the little that is left, and where it never gets that, the
 * serving connection does it between two calls.
 */
import { realpathSync, statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Effect, Runtime } from 'effect'
import type { ProviderSettings } from '../../services/ProviderConfig.js'
import { rootMessage } from '../causes.js'
import { lockPatienceMillis } from './Database.js'
import type { Sqlite } from './sqlite.js'

/** Pages of log at which a commit checkpoints: without the thread, and far away for when the thread cannot keep up. */
export const checkpointPages = { alone: 4_000, beside: 32_000 } as const

/** The log that makes a thread worth its while, in bytes. Most programs never get there. */
const worthwhile = 4 * 1_024 * 1_024

/** How often it is looked at, in ms. */
const lookMillis = 250

/** Begin at a thousand pages; end the log, or ask for help, at eight thousand; try for a second to empty it. */
const rhythm = {
  pollMillis: 50,
  beginPages: 1_000,
  helpPages: 8_000,
  rounds: 5,
  attempts: 40,
  emptyingLooks: 20,
}

/**
 * As text, since a bundler would not find a file. `NOOP` only tells how far the log is; a checkpoint tells how far it was when that
 * began. SQLite without it makes it a passive one, which does no harm.
 */
const script = `
const { parentPort, workerData } = require('node:worker_threads')
const { driver, path, synchronous, ended, pollMillis, beginPages, helpPages, rounds, attempts, emptyingLooks } =
  workerData
const end = () => {
  Atomics.store(ended, 0, 1)
  Atomics.notify(ended, 0)
}
const telling = (body) => () => {
  try {
    return body()
  } catch (error) {
    if (String(error.code).startsWith('SQLITE_BUSY')) return
    end()
    // Of the driver's own errors nothing crosses between threads.
    throw new Error(error.message)
  }
}
const database = telling(() => {
  const opened = new (require(driver))(path, { fileMustExist: true, timeout: 0 })
  opened.pragma('wal_autocheckpoint = 0')
  opened.pragma('synchronous = ' + synchronous)
  return opened
})()
const checkpoint = (mode) => {
  const [{ busy, log, checkpointed }] = database.pragma('wal_checkpoint(' + mode + ')')
  return { busy, log, left: log - checkpointed }
}
let emptying = 0
const look = () => {
  let { log, left } = checkpoint('NOOP')
  if (left < beginPages && emptying === 0) return
  for (let round = 0; left > 0 && round < rounds; round++) {
    checkpoint('PASSIVE')
    ;({ log, left } = checkpoint('NOOP'))
  }
  // Whoever writes waits for the little that is left, and nobody else; for the lock it is asked again and again, without waiting.
  for (let attempt = 0, before; left > 0 && log > helpPages && attempt < attempts; attempt++) {
    const met = checkpoint('RESTART')
    const copied = met.log - met.left
    if (met.busy === 0) left = 0
    // Somebody reads an old state, which may take long.
    else if (copied === before) break
    else Atomics.wait(ended, 0, 0, 1)
    before = copied
  }
  if (left > 0 && log > helpPages) parentPort.postMessage('help')
  if (emptying === 0) return
  emptying--
  // Whoever writes waits for it: so only when little is left to copy.
  if (left < beginPages && checkpoint('TRUNCATE').busy === 0) emptying = 0
  if (emptying === 0) parentPort.postMessage('emptied')
}
const timer = setInterval(telling(look), pollMillis)
parentPort.on('message', (wanted) => {
  if (wanted === 'empty') return (emptying = emptyingLooks)
  clearInterval(timer)
  database.close()
  end()
})`

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

const failed = (why: string) =>
  `checkpoints go on within pushes, which they hold up: their thread has ended: ${why}`

/** After a thread has ended, in ms: what it met may have passed, such as a full disk. Twice as long each time. */
const pauseMillis = { first: 60_000, longest: 3_600_000 }

/**
 * Checkpoints a file in WAL mode from when its log is worth it until the scope ends; the thread is gone then. `driverOf` finds the
 * module of the driver. Gives what has the thread empty the log, unless others write for a second without pause; false if there is
 * none that could.
 */
export const checkpoints = (
  database: Sqlite,
  { dbPath, synchronous }: ProviderSettings,
  driverOf: () => string,
  { first, longest } = pauseMillis,
) =>
  Effect.gen(function* () {
    const runtime = yield* Effect.runtime()
    // The log lies beside the file itself, whatever links lead to it and wherever the program goes.
    const path = realpathSync(dbPath)
    const served = statSync(path)
    // Not prepared once: it takes effect as it is prepared.
    const pagesAt = (pages: number) => database.pragma(`wal_autocheckpoint = ${pages}`)
    let thread: { readonly worker: Worker; readonly ended: Int32Array } | undefined
    let timer: NodeJS.Timeout
    let pause = first
    let emptied: (byThread: boolean) => void = () => {}
    const giveUp = (error: unknown) => {
      thread = undefined
      emptied(false)
      pagesAt(checkpointPages.alone)
      Runtime.runFork(runtime)(Effect.logWarning(failed(rootMessage(error))))
    }
    const help = () => {
      try {
        database.pragma('wal_checkpoint(PASSIVE)')
      } catch {
        // The next commits meet what is wrong, and can say so.
      }
    }
    const start = () => {
      try {
        const { ino, dev } = statSync(path)
        // The log is still that of the file that serves, and must not get into another one.
        if (ino !== served.ino || dev !== served.dev) throw new Error(`${path} was replaced`)
        const ended = new Int32Array(new SharedArrayBuffer(4))
        const given = { driver: driverOf(), path, synchronous, ended, ...rhythm }
        const worker = new Worker(script, { eval: true, workerData: given, execArgv: [], env: {} })
        worker.on('message', (said) => (said === 'emptied' ? emptied(true) : help()))
        worker.once('error', (error) => {
          giveUp(error)
          timer = setTimeout(look, pause).unref()
          pause = Math.min(2 * pause, longest)
        })
        // Must not keep a program alive that forgot to close; listening would.
        worker.unref()
        thread = { worker, ended }
        pagesAt(checkpointPages.beside)
      } catch (error) {
        giveUp(error)
      }
    }
    const look = () => {
      if (sizeOf(`${path}-wal`) >= worthwhile) return start()
      timer = setTimeout(look, lookMillis).unref()
    }
    look()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        clearTimeout(timer)
        if (thread === undefined) return
        const { worker, ended } = thread
        thread = undefined
        emptied(true)
        worker.removeAllListeners('error').on('error', () => {})
        worker.postMessage('end')
        // In one step with the closing of the database: whoever asks meanwhile would be refused. The last one to close takes the log away.
        Atomics.wait(ended, 0, 0, lockPatienceMillis)
      }),
    )
    return Effect.async<boolean>((resume) => {
      if (thread === undefined) return resume(Effect.succeed(false))
      const { worker } = thread
      // Of two who ask, the first does not wait.
      emptied(true)
      emptied = (byThread) => {
        worker.unref()
        resume(Effect.succeed(byThread))
      }
      // The program may have nothing else that it waits for.
      worker.ref()
      worker.postMessage('empty')
    })
  })
