/**
 * Random load by many clients at once, and the ledger that holds every answer against every other.
 *
 * The same shapes of ops and answers serve fibers and processes, so one set of rules judges both.
 */
import { expect } from 'vitest'
import type { PendingOp, SyncChange } from '../../src/services/index.js'
import { del, hlc, opId, put } from './ops.js'

/** A small generator with a seed (mulberry32): a load is too long to be shrunk, but can be repeated. */
export type Random = (below: number) => number
export const randomOf = (seed: number): Random => {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** The seed of this run; `TEST_SEED` repeats one. */
export const loadSeed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

const tables = ['messages', 'threads', 'file_meta']

/** An op that its id decides alone, so that whoever pushes the id pushes the same content. Few records, many ties. */
export const opOf = (id: string): PendingOp => {
  const random = randomOf([...id].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), 7))
  const parts = {
    id,
    table: tables[random(3)]!,
    pk: `pk${random(12)}`,
    clock: random(6),
    hlc: hlc(random(4)),
    device: `device-${random(3)}`,
  }
  return random(5) === 0 ? del(parts) : put({ ...parts, payload: { text: id } })
}

/** Batches of new ids and of ids that other clients push as well; some come twice, as after a lost answer. */
export const batchesOf = (random: Random, client: string, count: number, sharedIds: number) => {
  let own = 0
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(12) }, () => {
      const kind = random(10)
      if (kind < 3) return opId(`shared-${random(sharedIds)}`)
      return opId(kind === 3 && own > 0 ? `${client}-${random(own)}` : `${client}-${own++}`)
    }),
  )
}

export interface Answer {
  readonly opId: string
  /** `applied` and `superseded` say that the op was newly accepted. */
  readonly kind: string
  readonly version: number
}

/** Nothing lost, nothing doubled: each op was accepted once, under a version of its own, and whoever asked was told that one. */
export const judgeAnswers = (pushed: Iterable<string>, answers: ReadonlyArray<Answer>) => {
  const accepted = new Map<string, number>()
  for (const { opId, kind, version } of answers) {
    expect(['applied', 'superseded', 'replay']).toContain(kind)
    if (kind === 'replay') continue
    expect(accepted.has(opId), `${opId} was accepted twice`).toBe(false)
    accepted.set(opId, version)
  }
  for (const { opId, version } of answers)
    expect({ opId, version }).toEqual({ opId, version: accepted.get(opId) })
  expect(new Set(accepted.keys())).toEqual(new Set(pushed))
  expect([...accepted.values()].sort((a, b) => a - b)).toEqual(upTo(accepted.size))
  return accepted
}

export const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

const greater = (a: PendingOp['stamp'], b: PendingOp['stamp']) =>
  a.clock !== b.clock ? a.clock > b.clock : a.hlc !== b.hlc ? a.hlc > b.hlc : a.opId > b.opId

/** What last writer wins leaves of some ops: the winning op id per record. */
export const winners = (ops: Iterable<Pick<SyncChange, 'pk' | 'stamp'> & { readonly tableName: string }>) => {
  const stamps = new Map<string, PendingOp['stamp']>()
  for (const { tableName, pk, stamp } of ops) {
    const known = stamps.get(`${tableName}/${pk}`)
    if (known === undefined || greater(stamp, known)) stamps.set(`${tableName}/${pk}`, stamp)
  }
  return Object.fromEntries([...stamps].map(([record, { opId }]) => [record, opId]).sort())
}
