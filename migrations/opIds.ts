/**
 * UUIDs for op ids that are none, in the place that the old ids had in the order of ids.
 */
import { createHash } from 'node:crypto'

const any = (times: number) => '[0-9A-Fa-f]'.repeat(times)

const uuid = `${any(8)}-${any(4)}-[1-8]${any(3)}-[89ABab]${any(3)}-${any(12)}`

/** A condition on a column. */
export const isNoUuid = (column: string): string => `${column} NOT GLOB '${uuid}'`

const digits = '0123456789abcdef'

/** The first 13 characters: as a UUID that the id would stand beside, so that nearly every UUID compares with both alike. */
const prefixOf = (opId: string): string => {
  let prefix = ''
  let rest: string | undefined
  for (let at = 0; at < 13; at++) {
    const found = opId.charAt(at)
    if (at === 8) {
      if (rest === undefined && found !== '-') rest = found > '-' ? 'f' : '0'
      prefix += '-'
    } else if (rest !== undefined) prefix += rest
    else if (found !== '' && digits.includes(found)) prefix += found
    else {
      const below = [...digits].filter((digit) => digit < found).at(-1)
      rest = below === undefined ? '0' : 'f'
      prefix += below ?? '0'
    }
  }
  return prefix
}

/** Of one record there are never so many ops with an equal clock and hlc. */
const places = 4_096

/**
 * The id of an op, made from what identifies its revision. `place` counts the ops of the same record with the same clock and
 * hlc, in the order of their old ids, which is that of the new ones too.
 */
export const newOpId = (revision: ReadonlyArray<unknown>, opId: string, place: number): string => {
  const hash = createHash('sha256').update(JSON.stringify(revision)).digest('hex')
  const order = Math.min(place, places - 1)
    .toString(16)
    .padStart(3, '0')
  const variant = digits[8 + (Number.parseInt(hash.charAt(0), 16) % 4)]!
  return `${prefixOf(opId)}-8${order}-${variant}${hash.slice(1, 4)}-${hash.slice(4, 16)}`
}
