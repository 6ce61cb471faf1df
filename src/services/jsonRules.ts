/**
 * The check of what a service keeps as JSON for a caller, and gives back as it was.
 */
import { Either } from 'effect'
import { type Checked, refuseField } from './inputRules.js'
import { isPlainObject } from './opRules.js'
import { limits } from './SyncDomain.js'

/** Whether JSON carries a value faithfully. `budget` counts values, so that one that refers to an object again and again ends. */
const isJson = (value: unknown, depth: number, budget: { left: number }): boolean => {
  if (--budget.left < 0 || depth > limits.payloadDepth) return false
  if (typeof value === 'number') return Number.isFinite(value)
  // Members are left out, and in a list it is null, as JSON does.
  if (value === undefined) return depth > 0
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'boolean'
  if (value === null) return true
  if (Array.isArray(value)) {
    if (value.length > budget.left) return false
    for (let index = 0; index < value.length; index++) {
      if (!isJson(value[index], depth + 1, budget)) return false
    }
    return true
  }
  // Its text, or null for none.
  if (value instanceof Date) return !Object.hasOwn(value, 'toJSON')
  return isPlainObject(value) && Object.values(value).every((member) => isJson(member, depth + 1, budget))
}

/** As text of at most `most` characters: null, booleans, finite numbers, strings, and plain lists and objects of them; times become text. Undefined members are left out. */
export const jsonIn = (field: string, value: unknown, most: number): Checked<string> => {
  try {
    if (isJson(value, 0, { left: most })) {
      const text = JSON.stringify(value)
      if (text.length <= most) return Either.right(text)
    }
  } catch {
    // A getter or a proxy that throws: nothing that JSON can hold.
  }
  return refuseField(field, `is JSON of at most ${most.toLocaleString('en')} characters`)
}
