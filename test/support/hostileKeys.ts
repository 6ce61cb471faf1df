/**
 * Keys that part the orders of UTF-8 bytes and UTF-16 code units, again and again.
 */
import { fc } from './property.js'

/** The edges of what the two orders treat apart, what lies between, and what looks alike. */
const characters = [
  '\u0001',
  ' ',
  'A',
  'a',
  'Z',
  'é',
  'e\u0301',
  '\u07ff',
  '\u0800',
  '\ud7ff',
  '\ue000',
  '\uf8ff',
  '\ufb01',
  '\uff21',
  '\ufffd',
  '\uffff',
  '\u{10000}',
  '\u{1f600}',
  '\u{1f601}',
  '\u{fffff}',
  '\u{10ffff}',
]

const fits = (key: string) => key.length > 0 && key.length <= 1_024

const shorter = fc
  .array(fc.constantFrom(...characters), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))

/** Few characters, so that beginnings are shared deep down. */
const deeper = fc
  .array(fc.constantFrom('a', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'), { minLength: 1, maxLength: 12 })
  .map((parts) => parts.join(''))

/** Up to the limit, equal but for the end. */
const longest = fc
  .tuple(fc.constantFrom('a', '\ue000', '\uffff', '\u{1f600}', 'ü'), fc.integer({ min: 0, max: 12 }), shorter)
  .map(([filler, missing, end]) => {
    const beginning = filler.repeat(Math.floor((1_024 - end.length - missing) / filler.length))
    return beginning + end
  })

export const hostileKey: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 4, arbitrary: shorter },
    { weight: 4, arbitrary: deeper },
    { weight: 1, arbitrary: longest },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }) },
    { weight: 1, arbitrary: fc.uuid() },
  )
  .map((key) => key.toWellFormed().replaceAll('\0', ''))
  .filter(fits)

/** A set of them. */
export const hostileKeys = (maxLength: number): fc.Arbitrary<ReadonlyArray<string>> =>
  fc.uniqueArray(hostileKey, { maxLength })
