/**
 * What the server decided and why, in one plain sentence each.
 */
import type { Revision, ServerView } from '../../shared/view'
import { whyGreater, wins } from './revisions'
import type { PendingOp, PushResult } from './protocol'

export type Verdict =
  'applied' | 'superseded' | 'replay' | 'conflict' | 'refused' | 'collected' | 'bootstrapped'

export interface Decision {
  readonly verdict: Verdict
  readonly sentence: string
}

/** `laptop` for `laptop-k3f9`: the rest only tells this browser tab's laptop from another's. */
export const nameOf = (deviceId: string) => deviceId.replace(/-[a-z0-9]{4}$/, '')

/** What a person reads in a record. */
export const textOf = (payload: unknown): string => {
  const { content } = (payload ?? {}) as { readonly content?: unknown }
  return typeof content === 'string' ? content : payload === null ? '' : JSON.stringify(payload)
}

export const shortId = (opId: string) => opId.slice(0, 8)

const quoted = (payload: unknown) => {
  const text = textOf(payload)
  return `“${text.length > 40 ? `${text.slice(0, 40)}…` : text}”`
}

/** A record's state at some moment: who wrote it, with which revision. */
interface Written extends Revision {
  readonly deviceId: string
  readonly deleted: boolean
  readonly payload: unknown
}

const writtenBy = ({ stamp, operation, payload }: PendingOp): Written => ({
  ...stamp,
  deleted: operation === 'delete',
  payload,
})

const said = ({ deviceId, deleted, payload }: Written) =>
  `the ${nameOf(deviceId)}'s ${deleted ? 'delete' : quoted(payload)}`

/** Left out where another tab wrote in between: then what is known here is not what the server compared. */
const because = (winner: Revision, loser: Revision) =>
  wins(winner, loser) ? `, because ${whyGreater(winner, loser)}` : ''

const explain = (op: PendingOp, result: PushResult, current: Written | undefined): Decision => {
  const incoming = writtenBy(op)
  const id = shortId(op.stamp.opId)
  if (!result.success) {
    return result.errorCode === 'CONFLICT'
      ? {
          verdict: 'conflict',
          sentence: `Conflict: op id ${id} already stands for other content, so the server refused ${said(incoming)} and wrote nothing.`,
        }
      : { verdict: 'refused', sentence: `Refused (${result.errorCode}): ${result.error}.` }
  }
  const version = result.serverVersion
  if (result.replayed === true || result.applied === undefined) {
    return {
      verdict: 'replay',
      sentence: `Replay: op ${id} was accepted before, so the server answered with its first version, ${version}, and wrote nothing.`,
    }
  }
  if (!result.applied) {
    const why = current ? because(current, incoming) : ''
    const winner = current ? said(current) : quoted(result.payload)
    return {
      verdict: 'superseded',
      sentence: `Superseded: ${winner} stays${why}; ${said(incoming)} is only logged, as version ${version}.`,
    }
  }
  return {
    verdict: 'applied',
    sentence: current
      ? `Applied as version ${version}: ${said(incoming)} replaces ${said(current)}${because(incoming, current)}.`
      : `Applied as version ${version}: ${said(incoming)} is the first revision of ${op.pk}.`,
  }
}

/** One decision per result. `before` is the server's state before the push, which ops of one batch change in turn. */
export const explainPush = (
  before: ServerView,
  ops: ReadonlyArray<PendingOp>,
  results: ReadonlyArray<PushResult>,
): Array<Decision> => {
  const current = new Map<string, Written>(before.rows.map((row) => [`${row.table}/${row.pk}`, row]))
  return ops.flatMap((op) => {
    const result = results.find(({ opId }) => opId === op.stamp.opId)
    if (result === undefined) return []
    const key = `${op.tableName}/${op.pk}`
    const decision = explain(op, result, current.get(key))
    if (decision.verdict === 'applied') current.set(key, writtenBy(op))
    return [decision]
  })
}

/** What a device got that came fresh. */
export interface Bootstrap {
  readonly pages: number
  readonly records: number
  readonly tombstones: number
  /** The version as of which it got them. */
  readonly watermark: number
}

const count = (number: number, one: string, many: string) => `${number} ${number === 1 ? one : many}`

const got = ({ pages, records, tombstones, watermark }: Bootstrap) =>
  `${count(records, 'record', 'records')} and ${count(tombstones, 'tombstone', 'tombstones')} in ${count(pages, 'page', 'pages')}, as of version ${watermark}`

/** Of a device that stands on its own feet by now. */
export const bootstrapLine = (bootstrap: Bootstrap) => `Came fresh with a snapshot: ${got(bootstrap)}.`

/** `pulled` counts the changes that came after the snapshot. */
export const explainBootstrap = (name: string, bootstrap: Bootstrap, pulled: number): Decision => ({
  verdict: 'bootstrapped',
  sentence: `Bootstrapped: the ${name} installed a snapshot at once, ${got(bootstrap)}; then it pulled ${count(pulled, 'change', 'changes')} from there, and stands where every other device does.`,
})

export const explainCollection = (before: ServerView, after: ServerView, window: string): Decision => {
  const entries = before.counts.log - after.counts.log
  const tombstones = before.counts.tombstones - after.counts.tombstones
  const floor = `the floor is ${after.floor === before.floor ? 'still' : 'now'} version ${after.floor}`
  const went = `${count(entries, 'log entry', 'log entries')} and ${count(tombstones, 'tombstone', 'tombstones')}`
  return {
    verdict: 'collected',
    sentence:
      entries + tombstones === 0
        ? `Nothing was collected, because nothing is both seen by every device and older than ${window}; ${floor}.`
        : `Collected: ${went} went, because every device has seen them and they are older than ${window}; ${floor}, and pulls from below it get the rows instead.`,
  }
}
