/**
 * The provider's settings, checked, as one value.
 */
import { Context, type Duration, type Option, type Redacted, Schema } from 'effect'

/** The engines that keep the data. */
export const drivers = ['better-sqlite3', 'bun', 'turso', 'd1'] as const
/** One of `drivers`. */
export type Driver = (typeof drivers)[number]

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
  /** SQLite in the process, of Node or of Bun, libSQL over a network, or D1 in a Worker. */
  readonly driver: Driver
  /** Where the database is: a file, or `:memory:`; of Turso, its URL; of D1, the name of its binding. */
  readonly dbPath: string
  /** What Turso asks for, if anything. */
  readonly authToken: Option.Option<Redacted.Redacted>
  /** How long a call to Turso or D1 may take, at most five minutes. */
  readonly timeout: Duration.Duration
  /** Applied when the database is opened, and verified: SQLite may stay with another one. No effect in memory, nor over a network. */
  readonly journalMode: JournalMode
  /** Applied and verified likewise. */
  readonly synchronous: SynchronousLevel
  /** How often the server collects garbage by itself, at most 24 days; none when it leaves that to others, as on D1. */
  readonly gcInterval: Option.Option<Duration.Duration>
  /** The retention window of that collection. */
  readonly gcRetention: Duration.Duration
  /** How long after its removal a round purges a workspace, at least a day; none when removed ones are kept. */
  readonly purgeAfter: Option.Option<Duration.Duration>
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
