/**
 * What every subject tells of an op and of a failed call, whichever way it was told itself.
 */
import type { HostPushResult } from '../../src/nuxt/host.js'
import type { OpOutcome, Winner } from '../../src/services/index.js'

export type Verdict =
  | { readonly kind: 'applied'; readonly opId: string; readonly version: number }
  | {
      readonly kind: 'superseded'
      readonly opId: string
      readonly version: number
      readonly payload: unknown
    }
  | { readonly kind: 'replay'; readonly opId: string; readonly version: number }
  | { readonly kind: 'conflict' | 'invalid' | 'oversized' | 'forbidden'; readonly opId: string }

/** What else is told of an op: nothing of one that is refused. */
export interface Detail {
  readonly applied?: boolean
  readonly wasExisting?: boolean
  readonly winner?: Winner
}

/** A failed call: its HTTP status and message. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

export const verdictOf = (outcome: OpOutcome): Verdict => {
  const { opId } = outcome
  switch (outcome._tag) {
    case 'OpAccepted':
      return outcome.applied
        ? { kind: 'applied', opId, version: outcome.serverVersion }
        : { kind: 'superseded', opId, version: outcome.serverVersion, payload: outcome.payload }
    case 'OpReplayed':
      return { kind: 'replay', opId, version: outcome.serverVersion }
    case 'OpConflict':
      return { kind: 'conflict', opId }
    case 'OpForbidden':
      return { kind: 'forbidden', opId }
    case 'InvalidOp':
      return { kind: outcome.rule === 'payload-too-large' ? 'oversized' : 'invalid', opId }
  }
}

export const detailOf = (outcome: OpOutcome): Detail => {
  if (outcome._tag !== 'OpAccepted' && outcome._tag !== 'OpReplayed') return {}
  const { applied, winner } = outcome
  const wasExisting = outcome._tag === 'OpReplayed' || outcome.wasExisting
  return winner === undefined ? { applied, wasExisting } : { applied, wasExisting, winner }
}

export const detailOfResult = ({ applied, wasExisting, winner }: HostPushResult): Detail => ({
  ...(applied === undefined ? {} : { applied }),
  ...(wasExisting === undefined ? {} : { wasExisting }),
  ...(winner === undefined ? {} : { winner }),
})

const codes = {
  CONFLICT: 'conflict',
  UNAUTHORIZED: 'forbidden',
  OVERSIZED: 'oversized',
  VALIDATION_ERROR: 'invalid',
} as const

export const verdictOfResult = (result: HostPushResult): Verdict => {
  const { opId } = result
  if (!result.success) {
    const kind = codes[result.errorCode as keyof typeof codes]
    if (kind === undefined) throw new Error(`unexpected code ${String(result.errorCode)}`)
    return { kind, opId }
  }
  const version = result.serverVersion!
  if (result.replayed === true) return { kind: 'replay', opId, version }
  return result.applied
    ? { kind: 'applied', opId, version }
    : { kind: 'superseded', opId, version, payload: result.payload }
}
