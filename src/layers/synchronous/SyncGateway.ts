/**
 * The sync gateway on SQLite. Each verb has a file of its own: push, pull, snapshot; retention is the same on every engine.
 */
import { Effect, Layer, RcRef, Schedule } from 'effect'
import { gatewayOf } from '../../services/gatewayOf.js'
import { IdGenerator } from '../../services/IdGenerator.js'
import { SyncGateway } from '../../services/SyncGateway.js'
import { Database } from './Database.js'
import { makeLeapWarning } from '../leapWarning.js'
import { makeNews, type News } from '../news.js'
import { Batches } from '../sql/Batches.js'
import { gcChangeLog, gcTombstones, updateCursor } from '../sql/retention.js'
import { pull } from './pull.js'
import { push } from './push.js'
import { snapshot } from './snapshot.js'

/** How often it is asked whether another connection has committed, while somebody follows. */
const pollMillis = 100

/** SQLite's number for the commits of other connections, as this one has noticed them. Undefined if the file is locked. */
const dataVersion = (database: Database['Type']) =>
  Effect.option(
    database.direct('changes', (connection) =>
      connection.first<{ data_version: number }>('PRAGMA data_version'),
    ),
  ).pipe(Effect.map((row) => (row._tag === 'Some' ? row.value?.data_version : undefined)))

/** Announces what other connections and processes commit, from when it is acquired until its scope ends. */
const watchOthers = (database: Database['Type'], news: News) =>
  Effect.gen(function* () {
    let last = yield* dataVersion(database)
    const look = Effect.map(dataVersion(database), (version) => {
      if (version !== last) news.announceAll()
      last = version
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(pollMillis)))
  })

/** The gateway. While somebody follows changes, it looks for the commits of other connections ten times a second. */
export const layer: Layer.Layer<SyncGateway, never, Database | Batches | IdGenerator> = Layer.scoped(
  SyncGateway,
  Effect.gen(function* () {
    const database = yield* Database
    const batches = yield* Batches
    const ids = yield* IdGenerator
    const news = yield* makeNews
    const warnOfLeap = yield* makeLeapWarning
    // Shared by all followers, and there only while there are any.
    const watch = yield* RcRef.make({ acquire: watchOthers(database, news) })
    return gatewayOf(
      {
        push: push(database, news),
        pull: pull(database, news, warnOfLeap),
        snapshot: snapshot(database, ids),
        updateCursor: updateCursor(batches),
        gcChangeLog: gcChangeLog(batches),
        gcTombstones: gcTombstones(batches),
      },
      (workspaceId) => Effect.zipRight(RcRef.get(watch), news.follow(workspaceId)),
    )
  }),
)
