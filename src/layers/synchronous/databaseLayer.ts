/**
 * The connection that serves: opens the migrated file by the engine of this runtime, and sets and verifies the pragmas.
 */
import { Effect, Layer } from 'effect'
import { ProviderConfig, type ProviderSettings } from '../../services/ProviderConfig.js'
import { DatabaseOpenError } from '../../services/StorageError.js'
import type { Batches } from '../sql/Batches.js'
import { epochSeconds } from '../time.js'
import { layer as batchesLayer } from './Batches.js'
import { checkpointPages, checkpoints } from './checkpoints.js'
import { type Connection, makeConnection } from './connection.js'
import { Database, databaseOn, lockPatienceMillis } from './Database.js'
import { mendEmptiedLogs } from './emptiedLog.js'
import { native } from './native.js'
import { leapIfRestored, noteExtent } from './leap.js'
import { SchemaImage } from './SchemaMigrator.js'
import { rootMessage } from '../causes.js'
import type { Sqlite } from './sqlite.js'
import { openError, sqliteCode } from './sqliteErrors.js'

const make = Effect.gen(function* () {
  const settings = yield* ProviderConfig
  const { image, isNew } = yield* SchemaImage
  const database = yield* open(settings, image)
  const connection = makeConnection(database)
  if (image === undefined) yield* watchExtent(connection, settings.dbPath, isNew)
  const { module } = native
  const hasThread = image === undefined && settings.journalMode === 'WAL' && module !== undefined
  const emptyLog = hasThread ? yield* checkpoints(database, settings, module) : undefined
  connection.all('PRAGMA busy_timeout = 0')
  return databaseOn(connection, emptyLog)
})

const restored = 'the database seems to be a restored backup: all devices will pull their workspaces anew'

/** How often it is noted how many versions the database has. */
const noteMillis = 1_000

const tampered = (workspaces: number) =>
  `another program has trimmed the log of ${workspaces} workspaces: their rows stand for it, and each device pulls them anew`

/** Recognises a restored backup, and from then on notes what the next start needs to recognise one. */
const watchExtent = (connection: Connection, dbPath: string, isNew: boolean) =>
  Effect.gen(function* () {
    const now = yield* epochSeconds
    const { leapt, mended } = yield* Effect.try({
      try: () => ({
        mended: mendEmptiedLogs(connection, now),
        leapt: leapIfRestored(connection, dbPath, now),
      }),
      catch: openError(dbPath),
    })
    if (mended > 0) yield* Effect.logWarning(tampered(mended))
    // Of a file that is gone the migrator has told.
    if (leapt && !isNew) yield* Effect.logWarning(restored)
    let last: string | undefined
    /** A disk that refuses must not stop a server; the next start then may take its database for an older one. */
    const note = () => {
      try {
        last = noteExtent(connection, dbPath, last)
        return undefined
      } catch (error) {
        return rootMessage(error)
      }
    }
    const refusal = note()
    if (refusal !== undefined) yield* Effect.logWarning(`cannot write ${dbPath}-seen: ${refusal}`)
    yield* Effect.acquireRelease(
      // Must not keep a program alive that forgot to close.
      Effect.sync(() => setInterval(note, noteMillis).unref()),
      (timer) =>
        Effect.sync(() => {
          clearInterval(timer)
          note()
        }),
    )
  })

const open = (settings: ProviderSettings, image: Uint8Array | undefined) => {
  const { dbPath } = settings
  return Effect.acquireRelease(
    Effect.try({
      try: () => native.open(image ?? dbPath, { timeout: lockPatienceMillis }),
      catch: openError(dbPath),
    }),
    (database) => Effect.sync(() => database.close()),
  ).pipe(
    Effect.tap((database) =>
      Effect.try({
        try: () => applyPragmas(database, settings),
        catch: (error) => (error instanceof DatabaseOpenError ? error : openError(dbPath)(error)),
      }),
    ),
  )
}

const applyPragmas = (database: Sqlite, { dbPath, journalMode, synchronous }: ProviderSettings) => {
  const pragma = (text: string) => database.pragma(text, { simple: true })
  const refused = (variable: string, wanted: string, got: unknown) =>
    new DatabaseOpenError({
      path: dbPath,
      detail: `${variable} asks for ${wanted}, but SQLite stays with ${String(got)}`,
    })

  const currentMode = () => String(pragma('journal_mode')).toUpperCase()
  if (dbPath !== ':memory:' && currentMode() !== journalMode) {
    const taken = blockingRetry(() => String(pragma(`journal_mode = ${journalMode}`)))
    if (taken.toUpperCase() !== journalMode)
      throw refused('OR3_SQLITE_PRAGMA_JOURNAL_MODE', journalMode, taken)
  }
  const level = ['OFF', 'NORMAL', 'FULL', 'EXTRA'].indexOf(synchronous)
  pragma(`synchronous = ${level}`)
  const takenLevel = pragma('synchronous')
  if (takenLevel !== level) throw refused('OR3_SQLITE_PRAGMA_SYNCHRONOUS', synchronous, takenLevel)
  pragma('foreign_keys = ON')
  if (pragma('foreign_keys') !== 1) {
    throw new DatabaseOpenError({ path: dbPath, detail: 'this build of SQLite has no foreign keys' })
  }
  // Measured: multi-row statements else spill to a temporary file, and random op ids outgrow the default cache.
  pragma('temp_store = MEMORY')
  pragma(`cache_size = ${-64 * 1024}`)
  pragma(`wal_autocheckpoint = ${checkpointPages.alone}`)
}

/** Changing the journal mode does not honour SQLite's busy timeout. While starting, blocking is fine. */
const blockingRetry = <A>(action: () => A): A => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  for (let left = lockPatienceMillis; ; left -= 20) {
    try {
      return action()
    } catch (error) {
      if (left <= 0 || sqliteCode(error)?.startsWith('SQLITE_BUSY') !== true) throw error
      Atomics.wait(cell, 0, 0, 20)
    }
  }
}

export { Database }

/** Opens the migrated database, and sets and verifies the pragmas. Closes it with its scope. */
export const layer: Layer.Layer<Database | Batches, DatabaseOpenError, ProviderConfig | SchemaImage> =
  Layer.provideMerge(batchesLayer, Layer.scoped(Database, make))
