/**
 * An index of keys in the order of JavaScript's strings.
 *
 * SQLite's index has keys in the order of their UTF-8 bytes, which is that of their code points. JavaScript compares UTF-16
 * code units. The two differ in one thing: a character beyond U+FFFF is written with surrogates, D800 to DFFF, and so comes
 * before the characters from U+E000 to U+FFFF, here called high ones. Where two keys part by such a pair, the index must be read
 * in another order: of the keys with a common beginning, first those that go on beyond U+FFFF, then those that go on with a high
 * character, then the rest.
 *
 * So a walk is a stack of index ranges. It reads the topmost straight on, and splits it in three where a high character has a
 * neighbour beyond U+FFFF. Keys without high characters, which is nearly all there are, cost one look each.
 */

/** The keys of one table and workspace, in the order of UTF-8 bytes. */
export interface KeyIndex<Row extends readonly [pk: string, ...rest: ReadonlyArray<unknown>]> {
  /** Rows from a key on, and below another one if there is an end. */
  readonly range: (from: string, to: string | undefined) => Iterable<Row>
  /** The last key in such a range. May be called while one is being read. */
  readonly last: (from: string, to: string | undefined) => string | undefined
}

export interface KeyRange {
  readonly from: string
  readonly to: string | undefined
}

interface Range extends KeyRange {
  /** All keys of the range begin with the same characters, up to one that is high in all or beyond U+FFFF in all. */
  readonly settled: number
}

const firstHigh = '\ue000'
const firstBeyond = '\u{10000}'
const hasHigh = /[\ue000-\uffff]/

const isHigh = (key: string, index: number) => key.charCodeAt(index) >= 0xe000
const isLead = (key: string, index: number) => (key.charCodeAt(index) & 0xfc00) === 0xd800
export const isTrail = (key: string, index: number) => (key.charCodeAt(index) & 0xfc00) === 0xdc00

const nextHigh = (key: string, from: number): number => {
  for (let index = from; index < key.length; index++) if (isHigh(key, index)) return index
  return -1
}

export const commonLength = (a: string, b: string): number => {
  let length = 0
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++
  return length
}

/** In the order of UTF-8 bytes, in which surrogates come last. */
const bytePlace = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit)

/** Whether a key comes before another one in SQLite's order. */
export const isBefore = (a: string, b: string): boolean => {
  const at = commonLength(a, b)
  return at < b.length && (at === a.length || bytePlace(a.charCodeAt(at)) < bytePlace(b.charCodeAt(at)))
}

/** The least string above all that begin with these characters; undefined if there is none. */
export const afterAll = (beginning: string): string | undefined => {
  for (let length = beginning.length; length > 0;) {
    length -= isTrail(beginning, length - 1) ? 2 : 1
    const code = beginning.codePointAt(length)!
    // What follows U+D7FF are surrogates, which are no characters.
    const next = code === 0xd7ff ? 0xe000 : code + 1
    if (next <= 0x10ffff) return beginning.slice(0, length) + String.fromCodePoint(next)
  }
  return undefined
}

/**
 * The first place, from `from` on, where the key has a high character and another key, equal up to there, has one beyond
 * U+FFFF; -1 if there is none.
 *
 * The last key with the same beginning tells of all places up to where it parts from this one: whatever stood between the two at
 * an earlier place would come after it. So this takes as many look-ups as there are keys that part from this one, not one for
 * each high character.
 */
const splitPlace = (index: Pick<KeyIndex<readonly [string]>, 'last'>, key: string, from: number): number => {
  for (let place = nextHigh(key, from); place >= 0;) {
    const last = index.last(key, afterAll(key.slice(0, place)))
    if (last === undefined || last === key) return -1
    const parting = commonLength(key, last)
    if (isHigh(key, parting) && isLead(last, parting)) return parting
    place = nextHigh(key, parting + 1)
  }
  return -1
}

/** What is left of a range that was read up to a key: the last one is to be read first. */
const split = ({ to, settled }: Range, key: string, place: number): ReadonlyArray<Range> => {
  const beginning = key.slice(0, place)
  const beyond = beginning + firstBeyond
  const end = afterAll(beginning)
  return [
    ...(end === undefined || end === to ? [] : [{ from: end, to, settled }]),
    { from: key, to: beyond, settled: place + 1 },
    { from: beyond, to: end, settled: place + 1 },
  ]
}

/** What comes after a key, whether or not it is there, as if every place had been split: the last range first. A walk begins so. */
export const rangesAfter = (after: string): Array<Range> => {
  const ranges: Array<Range> = []
  let to: string | undefined
  let settled = 0
  for (let place = 0; place < after.length; place++) {
    if (after.charCodeAt(place) < 0xd800 || isTrail(after, place)) continue
    const beginning = after.slice(0, place)
    const end = afterAll(beginning)
    if (end !== undefined && end !== to) ranges.push({ from: end, to, settled })
    const beyond = beginning + firstBeyond
    if (isLead(after, place)) {
      ranges.push({ from: beginning + firstHigh, to: beyond, settled: place + 1 })
      to = end
    } else {
      to = beyond
    }
    settled = place + 1
  }
  ranges.push({ from: after, to, settled })
  return ranges
}

/** The rows after a key, all of them when it is undefined, ascending by key as JavaScript compares strings. */
export function* inCodeUnitOrder<Row extends readonly [pk: string, ...rest: ReadonlyArray<unknown>]>(
  index: KeyIndex<Row>,
  after: string | undefined,
): Generator<Row, void, void> {
  const ranges = rangesAfter(after ?? '')
  for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
    let previous = ''
    for (const row of index.range(range.from, range.to)) {
      const key = row[0]
      if (key === after) continue
      if (hasHigh.test(key)) {
        // What it has in common with the key before is known from there, a high character at the parting too.
        const common = commonLength(previous, key)
        const known = isHigh(previous, common) ? common + 1 : common
        const place = splitPlace(index, key, Math.max(range.settled, known))
        if (place >= 0) {
          ranges.push(...split(range, key, place))
          break
        }
      }
      previous = key
      yield row
    }
  }
}
