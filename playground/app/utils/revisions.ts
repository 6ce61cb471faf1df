/**
 * Revisions as the host's clients make and compare them.
 */
import type { Revision } from '../../shared/view'

/** Last writer wins: the rule of the server and of every device, so that all of them end alike. */
export const wins = (incoming: Revision, current: Revision): boolean => {
  if (incoming.clock !== current.clock) return incoming.clock > current.clock
  if (incoming.hlc !== current.hlc) return incoming.hlc > current.hlc
  return incoming.opId > current.opId
}

/** Both hlcs up to the first part in which they differ: the time, else the counter, else the node. */
const decisiveParts = (greater: string, lesser: string): readonly [string, string] => {
  const [left, right] = [greater.split(':'), lesser.split(':')]
  const index = left.findIndex((part, position) => part !== right[position])
  return [left.slice(0, index + 1).join(':'), right.slice(0, index + 1).join(':')]
}

/** Why the winner wins, to follow on "because". */
export const whyGreater = (winner: Revision, loser: Revision): string => {
  if (winner.clock !== loser.clock) return `its clock ${winner.clock} is greater than ${loser.clock}`
  if (winner.hlc === loser.hlc) {
    return `clock and hlc are equal and its op id ${winner.opId} is greater than ${loser.opId}`
  }
  const [greater, lesser] = decisiveParts(winner.hlc, loser.hlc)
  return `both have clock ${winner.clock} and it was written later (hlc ${greater} is greater than ${lesser})`
}

/** The hybrid logical clock's last value: wall time, and a counter for what happens within a millisecond. */
export interface HlcState {
  millis: number
  counter: number
}

const base36 = (value: number, length: number) => value.toString(36).padStart(length, '0')

/** The next hlc of a device: greater than all that it has made or seen, whatever its wall clock says. */
export const nextHlc = (state: HlcState, node: string): string => {
  const now = Date.now()
  if (now > state.millis) Object.assign(state, { millis: now, counter: 0 })
  else state.counter += 1
  return `${base36(state.millis, 9)}:${base36(state.counter, 3)}:${node}`
}

export const seeHlc = (state: HlcState, hlc: string): void => {
  const [millis = 0, counter = 0] = hlc.split(':', 2).map((part) => parseInt(part, 36) || 0)
  if (millis > state.millis) Object.assign(state, { millis, counter })
  else if (millis === state.millis) state.counter = Math.max(state.counter, counter)
}
