/**
 * The only source of new ids, so that tests can foretell them.
 */
import { Context, type Effect } from 'effect'

/** Where new ids come from. */
export class IdGenerator extends Context.Tag('or3-provider-sqlite/IdGenerator')<
  IdGenerator,
  {
    /** A fresh id, unique for ever. */
    readonly next: Effect.Effect<string>
  }
>() {}
