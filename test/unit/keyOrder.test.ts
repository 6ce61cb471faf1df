/**
 * An index in UTF-8 order, walked in the order of JavaScript's strings: over plain arrays, where every look-up is counted.
 */
import { describe, expect, it } from 'vitest'
import { afterAll, inCodeUnitOrder, type KeyIndex } from '../../src/layers/sql/keyOrder.js'
import { hostileKey, hostileKeys } from '../support/hostileKeys.js'
import { cases, fc, patience } from '../support/property.js'

const inBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** As SQLite keeps them, with the number of look-ups. */
const indexOf = (keys: ReadonlyArray<string>) => {
  const sorted = [...keys].sort(inBytes)
  const bytes = sorted.map((key) => Buffer.from(key))
  /** How many keys come before this one. */
  const placeOf = (key: string) => {
    const wanted = Buffer.from(key)
    let [low, high] = [0, bytes.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (Buffer.compare(bytes[middle]!, wanted) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  const counts = { looks: 0 }
  const between = (from: string, to: string | undefined) => {
    counts.looks++
    return sorted.slice(placeOf(from), to === undefined ? undefined : placeOf(to))
  }
  const index: KeyIndex<readonly [string]> = {
    range: (from, to) => between(from, to).map((key) => [key] as const),
    last: (from, to) => between(from, to).at(-1),
  }
  return { index, counts }
}

const walked = (keys: ReadonlyArray<string>, after?: string) => {
  const { index, counts } = indexOf(keys)
  const found = [...inCodeUnitOrder(index, after)].map(([key]) => key)
  return { found, looks: counts.looks }
}

const sortedAfter = (keys: ReadonlyArray<string>, after?: string) =>
  [...keys].sort().filter((key) => after === undefined || key > after)

describe('an index walked in code unit order', () => {
  it.each<readonly [string, ReadonlyArray<string>]>([
    ['a high character and one beyond', ['\uffff', '\u{10000}', '\ue000', '\ud7ff', 'a']],
    ['below a common beginning', ['ab\ufffd', 'ab\u{1f600}', 'ab', 'ab\u{1f600}\uffff', 'abc']],
    ['one within the other', ['\uffff\uffff', '\uffff\u{10000}', '\u{10000}\uffff', '\u{10000}\u{10ffff}']],
    [
      'a beginning that ends with the greatest character',
      ['\u{10ffff}\uffff', '\u{10ffff}\u{10000}', '\uffff'],
    ],
    ['a beginning just before the surrogates', ['\ud7ff\uffff', '\ud7ff\u{10000}', '\ue000', '\u{10000}']],
  ])('%s', (_what, keys) => {
    expect([...keys].sort(inBytes)).not.toEqual([...keys].sort())
    expect(walked(keys).found).toEqual([...keys].sort())
    for (const key of keys) expect(walked(keys, key).found).toEqual(sortedAfter(keys, key))
  })

  it(
    'gives every key after any position once, in order',
    () =>
      fc.assert(
        fc.property(hostileKeys(40), hostileKey, fc.nat(), (keys, elsewhere, which) => {
          expect(walked(keys).found).toEqual(sortedAfter(keys))
          for (const after of [elsewhere, keys[which % keys.length] ?? 'a']) {
            expect(walked(keys, after).found).toEqual(sortedAfter(keys, after))
          }
        }),
        cases(1_000),
      ),
    patience(60_000),
  )

  it('reads keys without high characters, and those without any beyond, in one go', () => {
    const plain = Array.from({ length: 200 }, (_, at) => `é${at}\ud7ff`)
    expect(walked(plain).looks).toBe(1)
    expect(walked(plain, plain[7]).looks).toBe(1)
    const emojis = Array.from({ length: 200 }, (_, at) => `${String.fromCodePoint(0x1f600 + at)}${at}`)
    expect(walked(emojis).looks).toBe(1)
  })

  it('looks about as often as there are keys, however many places could be split', () => {
    // Every key has a thousand high characters, and nothing beyond.
    const high = Array.from(
      { length: 300 },
      (_, at) => String.fromCharCode(0xe000 + at) + '\uffff'.repeat(1_000),
    )
    expect(walked(high).looks).toBeLessThan(2 * high.length)
    // Each parts from the others at another place, half of them by a character beyond.
    const comb = Array.from(
      { length: 300 },
      (_, at) => '\uffff'.repeat(at) + (at % 2 ? '\u{10000}' : '\ue000') + '\uffff'.repeat(300),
    )
    const { found, looks } = walked(comb)
    expect(found).toEqual([...comb].sort())
    expect(looks).toBeLessThan(5 * comb.length)
  })

  it('knows what comes after all that begin alike', () => {
    expect(afterAll('a')).toBe('b')
    expect(afterAll('a\ud7ff')).toBe('a\ue000')
    expect(afterAll('a\uffff')).toBe('a\u{10000}')
    expect(afterAll('a\u{10ffff}\u{10ffff}')).toBe('b')
    expect(afterAll('\u{10ffff}')).toBeUndefined()
    expect(afterAll('')).toBeUndefined()
  })
})
