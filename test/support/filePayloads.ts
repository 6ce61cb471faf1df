/**
 * Payloads that say something about files, as odd as clients make them.
 */
import { fc } from './property.js'

/** Few, so that records meet in the same files; several spellings of the same. */
export const spellings = [
  ...['abc', 'ABC', ' sha256:abc', 'sha256: Abc\t', 'x:y:aBc'],
  ...['def', 'md5:DEF', '', ' ', 'sha256:', 'İ', '😀', '\u{e000}', 'nul\0nul', '\ud800', '\u00a0def\ufeff'],
]

export const hash: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...spellings) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme' }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
)

const entry: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 5, arbitrary: hash },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
)

const list = fc.array(entry, { maxLength: 4 })

/** What stands under `file_hashes`. */
export const fileHashes: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: list },
  { weight: 4, arbitrary: list.map((entries) => JSON.stringify(entries)) },
  { weight: 1, arbitrary: list.map((entries) => JSON.stringify(entries, undefined, 2)) },
  { weight: 1, arbitrary: list.map((entries) => JSON.stringify(entries).slice(1)) },
  { weight: 1, arbitrary: hash },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
)

const sizes = fc.constantFrom<unknown>(
  ...[0, 1, 10, 1_000, 2 ** 40, 2 ** 40 + 1, Number.MAX_SAFE_INTEGER],
  ...[-1, 1.5, '10', '', null, true, [3], { of: 3 }],
)

const texts = fc.constantFrom<unknown>('a', '', null, 3, ['a'], 'store/1')

export const filePayload: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record({ file_hashes: fileHashes, text: fc.string() }, { requiredKeys: ['file_hashes'] }),
  fc.record(
    {
      size_bytes: sizes,
      sizeBytes: sizes,
      storage_id: texts,
      storageId: texts,
      mime_type: texts,
      mimeType: texts,
      name: texts,
      kind: texts,
    },
    { requiredKeys: [] },
  ),
)
