/**
 * The provider's settings, checked, as one value.
 */
import { Context, type Duration, type Option, Schema } from 'effect'

export const journalModes = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'WAL', 'OFF'] as const
export type JournalMode = (typeof journalModes)[number]

export const synchronousLevels = ['OFF', 'NORMAL', 'FULL', 'EXTRA'] as const
export type SynchronousLevel = (typeof synchronousLevels)[number]

export interface ProviderSettings {
  /** The database file, or `:memory:`. */
  readonly dbPath: string
  readonly journalMode: JournalMode
  readonly synchronous: SynchronousLevel
  /** How often the server collects garbage by itself; none when it leaves that to clients. */
  readonly gcInterval: Option.Option<Duration.Duration>
  /** The retention window of that collection. */
  readonly gcRetention: Duration.Duration
  /** What an operator should know about these settings. */
  readonly warnings: ReadonlyArray<string>
}

export class ProviderConfig extends Context.Tag('or3-provider-sqlite/ProviderConfig')<
  ProviderConfig,
  ProviderSettings
>() {}

/** One or several settings are wrong; each problem names its variable and what it accepts. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>(
  'or3-provider-sqlite/InvalidSettings',
)('InvalidSettings', { problems: Schema.Array(Schema.String) }) {
  override get message() {
    return this.problems.join('; ')
  }
}
