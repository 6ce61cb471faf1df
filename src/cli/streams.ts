/**
 * Where a command reads and writes: the process's own streams, unless it is given others.
 */
import { Context } from 'effect'

export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean
}

export class Streams extends Context.Reference<Streams>()('or3-provider-sqlite/cli/Streams', {
  defaultValue: (): {
    readonly stdin: AsyncIterable<Uint8Array>
    readonly stdout: Output
    readonly stderr: Output
  } => process,
}) {}
