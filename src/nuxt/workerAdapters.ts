/**
 * What `adapters.ts` is in a Worker, which has D1 alone: no driver of another engine gets into its bundle.
 */
import { inWorkers } from '../layers/engine.js'
import { openerOn, type Provider, type ProviderOptions } from './openProvider.js'

export { HostError } from './httpErrors.js'
export { providerId, unopenedProvider } from './hostAdapters.js'
export { ProviderStartupError } from './opening.js'

/** The same as on Node, with the engine of D1 alone. */
export const openProvider: (options?: ProviderOptions) => Provider = openerOn({ d1: inWorkers })
