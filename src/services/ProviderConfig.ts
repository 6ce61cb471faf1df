/**
 * The provider's settings, checked, as one value.
 */
import { Context, type Duration, type Option, Schema } from 'effect'

/** SQLite's journal modes, as settings name them. `OFF` is none of them: the driver refuses it, as nothing could be rolled back. */
export const journalModes = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'WAL'] as const
/** One of `journalModes`. */
export type JournalMode = (typeof journalModes)[number]

/** SQLite's synchronous levels: from never waiting for the disk to waiting more than once per commit. */
export const synchronousLevels = ['OFF', 'NORMAL', 'FULL', 'EXTRA'] as const
/** One of `synchronousLevels`. */
export type SynchronousLevel = (typeof synchronousLevels)[number]

/** What the `OR3_SQLITE_*` variables say, each checked. */
export interface ProviderSettings {
  /** The database file, or `:memory:`. */
  readonly dbPath: string
  /** Applied when the database is opened, and verified: SQLite may stay with another one. No effect in memory. */
  readonly journalMode: JournalMode
  /** Applied and verified likewise. */
  readonly synchronous: SynchronousLevel
  /** How often the server collects garbage by itself, at most 24 days; none when it leaves that to others. */
  readonly gcInterval: Option.Option<Duration.Duration>
  /** The retention window of that collection. */
  readonly gcRetention: Duration.Duration
  /** What an operator should know about these settings. */
  readonly warnings: ReadonlyArray<string>
}

/** The settings the provider runs with. `ProviderConfigLayer` reads them from the environment, or takes them as given. */
export class ProviderConfig extends Context.Tag('or3-provider-sqlite/ProviderConfig')<
  ProviderConfig,
  ProviderSettings
>() {}

/** One or several settings are wrong; each problem names its variable and what it accepts. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>(
  'or3-provider-sqlite/InvalidSettings',
)('InvalidSettings', {
  /** One line each. */
  problems: Schema.Array(Schema.String),
}) {
  override get message() {
    return this.problems.join('; ')
  }
}
