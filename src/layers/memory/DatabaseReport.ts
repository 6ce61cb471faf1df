/**
 * What is known where there is no database.
 */
import { Effect, Layer } from 'effect'
import { DatabaseReport } from '../../services/DatabaseReport.js'
import { observeService } from '../../services/telemetry.js'
import { StoreState } from './StoreState.js'

const known = { engine: 'memory', place: ':memory:', schema: 'none' }

/** On the state of the in-memory workspace store. */
export const layer: Layer.Layer<DatabaseReport, never, StoreState> = Layer.effect(
  DatabaseReport,
  Effect.map(StoreState, ({ users, workspaces }) => ({
    known,
    ...observeService('DatabaseReport', {
      facts: Effect.sync(() => ({
        ...known,
        workspaces: [...workspaces.values()].filter(({ removedAt }) => removedAt === null).length,
        users: users.size,
      })),
      answers: Effect.void,
    }),
  })),
)
