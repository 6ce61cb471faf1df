/**
 * This program's own settings, and the provider's layers made from them. No `OR3_SQLITE_*` variable is read.
 */
import { Config, Context, Effect, Layer, type Option } from 'effect'
import { layerWithConfig, ProviderConfigLayer } from 'or3-provider-sqlite/layers'

export class Settings extends Context.Tag('note-archive/Settings')<
  Settings,
  {
    /** The database file of an OR3 Chat server, which may be running. */
    readonly database: string
    readonly workspaceId: string
    /** On whose behalf notes are imported; the program itself is trusted. */
    readonly userId: Option.Option<string>
  }
>() {}

/** `NOTES_DATABASE`, `NOTES_WORKSPACE` and `NOTES_USER`. */
export const layer = Layer.effect(
  Settings,
  Config.all({
    database: Config.nonEmptyString('DATABASE'),
    workspaceId: Config.nonEmptyString('WORKSPACE'),
    userId: Config.option(Config.nonEmptyString('USER')),
  }).pipe(Config.nested('NOTES')),
)

/** The services on that database. Tests give `layerMemory` in the place of this. */
export const provider = Layer.provide(
  layerWithConfig,
  Layer.unwrapEffect(
    Effect.map(Settings, ({ database }) =>
      ProviderConfigLayer.layerOf({ dbPath: database, synchronous: 'FULL' }),
    ),
  ),
)
