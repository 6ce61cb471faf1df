/**
 * The rules of a single op: what is valid, and when two ops are the same op.
 *
 * Shared by every implementation of the gateway. Plain functions, since they run once per pushed op.
 */
import { isSyncedTable, limits, type Operation, primaryKeyField, type SyncedTable } from './SyncDomain.js'
import { InvalidOp, OpForbidden, type OpRule } from './SyncErrors.js'

/** An op that passed every rule, its payload serialised once for all that follows. */
export interface CheckedOp {
  readonly opId: string
  readonly tableName: SyncedTable
  readonly operation: Operation
  readonly pk: string
  readonly payloadJson: string | null
  readonly clock: number
  readonly hlc: string
  readonly deviceId: string
  /** Of a notification's put: whose it makes it; null for nobody's in particular. */
  readonly owner: string | null
}

type JsonObject = Record<string, unknown>

const printableAscii = /^[\x20-\x7e]+$/

/** Whether SQLite's text functions return the string as it was: no NUL, no lone surrogate; 1..256 characters, or another bound. */
export const isStorableId = (value: unknown, maxLength: number = limits.idLength): value is string =>
  typeof value === 'string' &&
  value.length > 0 &&
  value.length <= maxLength &&
  value.isWellFormed() &&
  !value.includes('\0')

/** Whether the string compares alike in SQLite and here: printable ASCII, of 1..256 characters, or another bound. */
export const isAsciiId = (value: unknown, maxLength: number = limits.idLength): value is string =>
  typeof value === 'string' && value.length <= maxLength && printableAscii.test(value)

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** Whether a host of mid-2026 takes the op id; of the versions that are in use, which is the narrowest rule a check may have. */
export const isUuid = (id: string): boolean => id.length === 36 && uuid.test(id)

export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null

/** Objects of another realm count as plain too, hence not a comparison with this realm's `Object.prototype`. */
export const isPlainObject = (value: unknown): value is JsonObject => {
  if (!isObject(value) || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Finds what JSON would not carry faithfully. `budget` counts values: a payload within its byte limit cannot hold more, and
 * one that refers to the same object again and again cannot keep us busy.
 */
const jsonFault = (value: unknown, depth: number, budget: { left: number }): OpRule | undefined => {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : 'payload-not-json'
    case 'object':
      break
    default:
      return 'payload-not-json'
  }
  if (value === null) return undefined
  if (depth > limits.payloadDepth) return 'payload-too-deep'
  if (Array.isArray(value)) {
    if ((budget.left -= value.length) < 0) return 'payload-too-large'
    for (let index = 0; index < value.length; index++) {
      const fault = jsonFault(value[index], depth + 1, budget)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  if (!isPlainObject(value)) return 'payload-not-json'
  for (const key of Object.keys(value)) {
    if (--budget.left < 0) return 'payload-too-large'
    const member = value[key]
    if (member === undefined) continue
    const fault = jsonFault(member, depth + 1, budget)
    if (fault !== undefined) return fault
  }
  return undefined
}

const exceedsBytes = (text: string): boolean => {
  if (text.length > limits.payloadBytes) return true
  // No UTF-16 code unit takes more than three bytes.
  return text.length * 3 > limits.payloadBytes && Buffer.byteLength(text) > limits.payloadBytes
}

const details: Record<OpRule, string> = {
  shape: 'an op is an object with a stamp',
  table: 'tableName is not a synced table',
  operation: 'operation is put or delete',
  pk: `pk has 1 to ${limits.pkLength} characters, without NUL or lone surrogates`,
  'op-id': `stamp.opId has 1 to ${limits.idLength} characters of printable ASCII`,
  hlc: `stamp.hlc has 1 to ${limits.hlcLength} characters of printable ASCII`,
  'device-id': `stamp.deviceId has 1 to ${limits.idLength} characters of printable ASCII`,
  clock: 'stamp.clock is a safe integer of at least 0',
  'payload-missing': 'a put needs a payload',
  'payload-not-json': 'payload is not a plain JSON object',
  'payload-too-deep': `payload nests deeper than ${limits.payloadDepth}`,
  'payload-too-large': `payload is over ${limits.payloadBytes} bytes of JSON`,
  'payload-key-mismatch': "the payload's own key differs from pk",
  'payload-reserved-field': 'payload carries _id, or the workspace_id of another workspace',
}

const own = (object: JsonObject, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : undefined

const check = (
  workspaceId: string,
  userId: string | undefined,
  op: unknown,
): CheckedOp | OpRule | 'forbidden' => {
  if (!isObject(op) || !isObject(op.stamp)) return 'shape'
  const { tableName, operation, pk, payload } = op
  const { opId, hlc, deviceId, clock } = op.stamp
  if (!isAsciiId(opId)) return 'op-id'
  if (!isSyncedTable(tableName)) return 'table'
  if (operation !== 'put' && operation !== 'delete') return 'operation'
  if (!isStorableId(pk, limits.pkLength)) return 'pk'
  if (!isAsciiId(hlc, limits.hlcLength)) return 'hlc'
  if (!isAsciiId(deviceId)) return 'device-id'
  if (!isCount(clock)) return 'clock'
  // Written out where it is returned: spreading an object costs as much as all these checks.
  if (payload === undefined || payload === null) {
    return operation === 'put'
      ? 'payload-missing'
      : { opId, tableName, operation, pk, payloadJson: null, clock, hlc, deviceId, owner: null }
  }
  if (!isPlainObject(payload)) return 'payload-not-json'
  const fault = jsonFault(payload, 1, { left: limits.payloadBytes })
  if (fault !== undefined) return fault
  const ownKey = own(payload, primaryKeyField(tableName))
  if (ownKey !== undefined && ownKey !== pk) return 'payload-key-mismatch'
  const ownWorkspace = own(payload, 'workspace_id')
  if (Object.hasOwn(payload, '_id') || (ownWorkspace !== undefined && ownWorkspace !== workspaceId)) {
    return 'payload-reserved-field'
  }
  let stored = payload
  let owner: string | null = null
  if (tableName === 'notifications' && operation === 'put') {
    const named = own(payload, 'user_id') ?? userId
    if (userId !== undefined) {
      if (named !== userId) return 'forbidden'
      stored = { ...payload, user_id: userId }
    }
    if (typeof named === 'string') owner = named
  }
  const payloadJson = JSON.stringify(stored)
  return exceedsBytes(payloadJson)
    ? 'payload-too-large'
    : { opId, tableName, operation, pk, payloadJson, clock, hlc, deviceId, owner }
}

const readOpId = (op: unknown): string => {
  try {
    const stamp = (op as { stamp?: { opId?: unknown } } | null | undefined)?.stamp
    return typeof stamp?.opId === 'string' ? stamp.opId : ''
  } catch {
    return ''
  }
}

/**
 * Checks one op against the rules, on behalf of a user if there is one. Never throws, whatever it is given.
 *
 * A put of a notification is given that user as its `user_id`; one that names another user is forbidden.
 */
export const checkOp = (
  workspaceId: string,
  userId: string | undefined,
  op: unknown,
): CheckedOp | InvalidOp | OpForbidden => {
  let result: ReturnType<typeof check>
  try {
    result = check(workspaceId, userId, op)
  } catch {
    // A getter or a proxy that throws: nothing a JSON body can hold.
    result = 'shape'
  }
  if (typeof result === 'object') return result
  const opId = readOpId(op)
  return result === 'forbidden'
    ? new OpForbidden({ opId })
    : new InvalidOp({ opId, rule: result, detail: details[result] })
}

/** JSON text with sorted keys: equal for values that differ in key order alone. */
export const canonicalJson = (json: string): string =>
  JSON.stringify(JSON.parse(json), (_key, value: unknown) =>
    isObject(value) && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )

const samePayload = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && canonicalJson(a) === canonicalJson(b))

/** Whether two ops with the same id are the same op: every field equal, the payload as a JSON value. */
export const sameContent = (a: CheckedOp, b: CheckedOp): boolean =>
  a.tableName === b.tableName &&
  a.operation === b.operation &&
  a.pk === b.pk &&
  a.clock === b.clock &&
  a.hlc === b.hlc &&
  a.deviceId === b.deviceId &&
  samePayload(a.payloadJson, b.payloadJson)

/** The same of an op and the one that a record stands by, whose payload may have been erased with its tombstone. */
export const isSameAsStands = (op: CheckedOp, standing: CheckedOp): boolean =>
  sameContent(
    op,
    standing.operation === 'delete' && standing.payloadJson === null
      ? { ...standing, payloadJson: op.payloadJson }
      : standing,
  )
