/**
 * Checkpoints in a thread of their own: what is committed goes from the write-ahead log into the database file in nobody's request.
 *
 * Without it, the commit that crosses SQLite's threshold pays for all before it, ten times a commit and more. The thread has a
 * connection of its own and checkpoints passively, so it holds nobody up. Under writes without pause it may never find the log done,
 * which alone lets a log begin anew: then it takes the write lock for the little that is left, and where it never gets that, the
 * serving connection does it between two calls. SQLite syncs the file only when all of a log is copied, that is under the lock, so
 * the thread does it before.
 */
import { openSync, realpathSync, type Stats, statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Effect, Runtime } from 'effect'
import type { ProviderSettings } from '../../services/ProviderConfig.js'
import { rootMessage } from '../causes.js'
import { lockPatienceMillis } from './Database.js'
import type { Sqlite } from './sqlite.js'

/**
 * Pages of log at which a commit checkpoints: without the thread, and where there is one, further away than any reader lets a log
 * grow. The first commit after a long reader would copy all of that.
 */
export const checkpointPages = { alone: 4_000, beside: 1_000_000 } as const

/** The log that makes a thread worth its while, in bytes. Most programs never get there. */
const worthwhile = 4 * 1_024 * 1_024

/** How often it is looked at, in ms. */
const lookMillis = 250

/** Begin at a thousand pages; end the log, or ask for help, at eight thousand, and soon at twice that; try for a second to empty it, once nobody writes. */
const rhythm = {
  pollMillis: 50,
  beginPages: 1_000,
  helpPages: 8_000,
  farPages: 16_000,
  helpLooks: 20,
  rounds: 5,
  attempts: 10,
  emptyingLooks: 20,
  idleMillis: 150,
}

/**
 * As text, since a bundler would not find a file. `NOOP` only tells how far the log is; a checkpoint tells how far it was when that
 * began. SQLite without it makes it a passive one, which does no harm.
 */
const script = `
const { fdatasyncSync, statSync } = require('node:fs')
const { parentPort, workerData } = require('node:worker_threads')
const { driver, path, served, synchronous, descriptor, ended, ...rhythm } = workerData
const { pollMillis, beginPages, helpPages, farPages, helpLooks, rounds, attempts, emptyingLooks, idleMillis } = rhythm
const end = () => {
  Atomics.store(ended, 0, 1)
  Atomics.notify(ended, 0)
}
let database
const open = () => {
  const opened = new (require(driver))(path, { fileMustExist: true, timeout: 0 })
  try {
    // Before anything is read: with the log of the file that serves, another one would be damaged.
    const { ino, dev } = statSync(path)
    if (ino !== served.ino || dev !== served.dev) throw new Error(path + ' was replaced')
    opened.pragma('wal_autocheckpoint = 0')
    opened.pragma('synchronous = ' + synchronous)
    return opened
  } catch (error) {
    opened.close()
    throw error
  }
}
const checkpoint = (mode) => {
  const [{ busy, log, checkpointed }] = database.pragma('wal_checkpoint(' + mode + ')')
  return { busy, log, copied: checkpointed, left: log - checkpointed }
}
const sync = () => {
  if (descriptor !== undefined) fdatasyncSync(descriptor)
}
let emptying = 0
// Looks that are left out, so that whoever helps finds nobody checkpointing.
let waiting = 0
// Pages of log, and since when there are so many.
let [written, since] = []
const look = () => {
  if (waiting > 0) {
    waiting--
    return
  }
  database ??= open()
  let met = checkpoint('NOOP')
  if (met.left < beginPages && emptying === 0) return
  // Somebody reads an old state, which may take long: nothing goes on until then.
  let isHeld = false
  // A log that grows faster than it is copied must not wait for many attempts.
  const isFar = () => met.log >= farPages
  for (let round = 0; met.left > 0 && !isHeld && round < (isFar() ? 1 : rounds); round++) {
    const { copied } = met
    checkpoint('PASSIVE')
    if (met.log > helpPages || emptying > 0) sync()
    met = checkpoint('NOOP')
    isHeld = met.left > 0 && met.copied === copied
  }
  let isDone = met.left === 0
  let { copied } = met
  // Whoever writes waits for the little that is left, and nobody else; for the lock it is asked again and again, without waiting.
  const most = isFar() ? 1 : attempts
  for (let attempt = 0; !isDone && !isHeld && met.log > helpPages && attempt < most; attempt++) {
    if (attempt > 0) {
      Atomics.wait(ended, 0, 0, 1)
      sync()
    }
    const tried = checkpoint('RESTART')
    isDone = tried.busy === 0
    // Another one is checkpointing.
    if (tried.log < 0) continue
    isHeld = tried.left > 0 && tried.copied === copied
    copied = tried.copied
  }
  if (!isDone && !isHeld && met.log > helpPages) {
    sync()
    parentPort.postMessage('help')
    waiting = helpLooks
  }
  if (emptying === 0) return
  // Whoever writes waits until the system has given back the log, a tenth of a second for 100 MB: so only where nobody does.
  const { log, left } = checkpoint('NOOP')
  const now = performance.now()
  if (log !== written) [written, since] = [log, now]
  else if (now - since >= idleMillis && left < beginPages && checkpoint('TRUNCATE').busy === 0) emptying = 1
}
const timer = setInterval(() => {
  try {
    look()
  } catch (error) {
    if (!String(error.code).startsWith('SQLITE_BUSY')) {
      end()
      // Of the driver's own errors nothing crosses between threads.
      throw new Error(error.message)
    }
  }
  if (emptying > 0 && --emptying === 0) parentPort.postMessage('emptied')
}, pollMillis)
parentPort.on('message', (wanted) => {
  if (wanted === 'helped') return (waiting = 0)
  if (wanted === 'empty') {
    written = undefined
    return (emptying = emptyingLooks)
  }
  clearInterval(timer)
  parentPort.close()
  database?.close()
  end()
})`

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

const failed = (why: string) =>
  `checkpoints go on within pushes, which they hold up: their thread has ended: ${why}`

/**
 * By which threads sync, by the file, of all copies of this package. They stay open: a process that closes any descriptor of a file
 * loses all locks that it has there, whoever set them.
 */
const descriptors: Map<string, number> = ((globalThis as Record<symbol, unknown>)[
  Symbol.for('or3-provider-sqlite/descriptors')
] ??= new Map()) as never

/** Of programs that open many files, those that come later do without. */
const mostDescriptors = 64

const descriptorOf = (path: string, { dev, ino }: Pick<Stats, 'dev' | 'ino'>): number | undefined => {
  const key = `${dev}:${ino}`
  const known = descriptors.get(key)
  if (known !== undefined || descriptors.size >= mostDescriptors) return known
  try {
    const descriptor = openSync(path, 'r+')
    descriptors.set(key, descriptor)
    return descriptor
  } catch {
    return undefined
  }
}

/** After a thread has ended, in ms: what it met may have passed, such as a full disk. Twice as long each time it comes soon again. */
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
    const { ino, dev } = statSync(path)
    const served = { ino, dev }
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
      thread?.worker.postMessage('helped')
    }
    const start = () => {
      try {
        const { ino, dev } = statSync(path)
        // The log is still that of the file that serves, and must not get into another one.
        if (ino !== served.ino || dev !== served.dev) throw new Error(`${path} was replaced`)
        const ended = new Int32Array(new SharedArrayBuffer(4))
        const descriptor = synchronous === 'OFF' ? undefined : descriptorOf(path, served)
        const given = { driver: driverOf(), path, served, synchronous, descriptor, ended, ...rhythm }
        const begun = performance.now()
        const worker = new Worker(script, { eval: true, workerData: given, execArgv: [], env: {} })
        worker.on('message', (said) => (said === 'emptied' ? emptied(true) : help()))
        worker.once('error', (error) => {
          giveUp(error)
          if (performance.now() - begun > longest) pause = first
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
