/**
 * The settings of Cloudflare D1: the name of the Worker's binding.
 */
import { Config, Either, Option } from 'effect'
import { d1Timeout } from '../batch/d1.js'
import { fileOnly, tursoOnly } from './only.js'
import { invalid, text, unknownTo } from './values.js'

const binding = text('OR3_SQLITE_D1_BINDING').pipe(
  Config.mapOrFail((value) => {
    const name = Option.getOrElse(value, () => 'DB')
    return /^[A-Za-z_$][\w$]*$/.test(name)
      ? Either.right(name)
      : Either.left(
          invalid(
            'OR3_SQLITE_D1_BINDING',
            `is "${name}", but accepts only the name of a binding, such as DB: that of the database or its id is another thing`,
          ),
        )
  }),
)

export const d1Settings = Config.all({
  dbPath: binding,
  // Nothing runs in a Worker while nobody calls.
  foreign: unknownTo('d1', [...fileOnly, ...tursoOnly, 'OR3_SQLITE_GC_INTERVAL']),
}).pipe(Config.map(({ dbPath }) => ({ dbPath, timeout: d1Timeout })))
