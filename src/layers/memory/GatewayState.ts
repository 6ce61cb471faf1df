/**
 * What the in-memory gateway remembers. A service of its own, so that tests can look at it.
 */
import { Context, Layer } from 'effect'
import type { Revision } from '../../services/Revision.js'
import type { StoredIntent } from '../../services/intentRules.js'
import type { CheckedOp } from '../../services/opRules.js'

export interface LogEntry {
  readonly version: number
  readonly op: CheckedOp
  /** Epoch seconds. */
  readonly at: number
}

export interface Row {
  /** The winning op; its payload is erased when the tombstone is collected. */
  readonly op: CheckedOp
  readonly version: number
  /** Of a notification: whose it is. */
  readonly userId: string | null
  /** When that op came; epoch seconds. */
  readonly at: number
}

export interface Tombstone extends Revision {
  readonly version: number
  /** Epoch seconds. */
  readonly at: number
}

export interface DeviceCursor {
  readonly version: number
  /** When it was last reported; epoch seconds. */
  readonly at: number
  /** Whose device it is, once a user has reported it. */
  readonly owner: string | undefined
}

export interface WorkspaceState {
  /** The high watermark. */
  version: number
  /** Log entries up to this version are trimmed. */
  floor: number
  /** When it last leapt for a device from before a restored backup; epoch seconds. */
  leaptAt: number | null
  log: Array<LogEntry>
  /** What is remembered of trimmed entries, and since when. */
  trimmed: Array<LogEntry>
  readonly rows: Map<string, Row>
  readonly tombstones: Map<string, Tombstone>
  readonly cursors: Map<string, DeviceCursor>
  /** Upload intents by id. */
  readonly intents: Map<string, StoredIntent>
  /** Whether its content was taken for good: nothing more comes in. */
  isPurged: boolean
}

export class GatewayState extends Context.Tag('or3-provider-sqlite/memory/GatewayState')<
  GatewayState,
  {
    /** By id: those that a call was about. */
    readonly all: ReadonlyMap<string, WorkspaceState>
    readonly of: (workspaceId: string) => WorkspaceState
    /** The ids of users who were erased. */
    readonly erased: Set<string>
  }
>() {}

export const layer: Layer.Layer<GatewayState> = Layer.sync(GatewayState, () => {
  const workspaces = new Map<string, WorkspaceState>()
  return {
    all: workspaces,
    erased: new Set<string>(),
    of: (workspaceId) => {
      let state = workspaces.get(workspaceId)
      if (state === undefined) {
        state = {
          version: 0,
          floor: 0,
          leaptAt: null,
          log: [],
          trimmed: [],
          rows: new Map(),
          tombstones: new Map(),
          cursors: new Map(),
          intents: new Map(),
          isPurged: false,
        }
        workspaces.set(workspaceId, state)
      }
      return state
    },
  }
})
