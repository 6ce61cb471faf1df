/**
 * The sync gateway on SQLite. Each verb has a file of its own: push, pull, retention.
 */
import { Effect, Layer } from 'effect'
import { pushOneWith } from '../services/pushOne.js'
import { SyncGateway } from '../services/SyncGateway.js'
import { Database } from './Database.js'
import { pull } from './pull.js'
import { push } from './push.js'
import { gcChangeLog, gcTombstones, updateCursor } from './retention.js'

export const layer: Layer.Layer<SyncGateway, never, Database> = Layer.effect(
  SyncGateway,
  Effect.gen(function* () {
    const database = yield* Database
    const pushBatch = push(database)
    return SyncGateway.of({
      push: pushBatch,
      pushOne: pushOneWith(pushBatch),
      pull: pull(database),
      updateCursor: updateCursor(database),
      gcChangeLog: gcChangeLog(database),
      gcTombstones: gcTombstones(database),
    })
  }),
)
