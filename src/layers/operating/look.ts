/**
 * Looks at a file: within one snapshot, if the connection has one.
 */
import type { Look } from '../sql/look.js'
import type { Connection } from '../synchronous/connection.js'

export const lookIn = <A>(connection: Connection, look: Look<A>): A => {
  let step = look.next()
  while (!step.done) {
    step = look.next(step.value.map(({ sql, params }) => connection.execute(sql, params)))
  }
  return step.value
}
