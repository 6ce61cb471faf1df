/**
 * Settings as an environment gives them.
 */
import { ConfigProvider, Effect, Either, Layer, Logger, type LogLevel } from 'effect'
import * as Config from '../../src/layers/ProviderConfig.js'
import { ProviderConfig } from '../../src/services/index.js'

export type Env = Record<string, string>

export const withEnv = (env: Env) =>
  Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env))))

interface Logged {
  readonly level: LogLevel.LogLevel['_tag']
  readonly message: string
}

const logTo = (lines: Array<Logged>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ logLevel, message }) => {
      lines.push({ level: logLevel._tag, message: String(message) })
    }),
  )

/** The settings, or the problems with them, and what was logged. */
export const readSettings = (env: Env) => {
  const logged: Array<Logged> = []
  const result = Effect.runSync(
    ProviderConfig.pipe(
      Effect.provide(Config.layer),
      Effect.either,
      Effect.provide(Layer.merge(withEnv(env), logTo(logged))),
    ),
  )
  return {
    settings: Either.getOrUndefined(result),
    problems: Either.isLeft(result) ? result.left.problems : [],
    logged,
  }
}
