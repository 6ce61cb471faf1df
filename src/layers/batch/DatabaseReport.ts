/**
 * What the database is, on an engine behind a network, which looks after its files itself.
 */
import { Effect, Layer } from 'effect'
import { DatabaseReport } from '../../services/DatabaseReport.js'
import type { ProviderConfig } from '../../services/ProviderConfig.js'
import type { Batches } from '../sql/Batches.js'
import { makeReport } from '../sql/DatabaseReport.js'

export const layer: Layer.Layer<DatabaseReport, never, Batches | ProviderConfig> = Layer.effect(
  DatabaseReport,
  makeReport(Effect.succeed(undefined)),
)
