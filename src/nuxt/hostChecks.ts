/**
 * What the host of mid-2026 and its client check of every answer, as schemas and rules of our own. One that breaks them is a 502
 * there, and the device does not sync at all; so our tests run every answer through them.
 */
import { Either, ParseResult, Schema } from 'effect'

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
const Version = Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER))
const text = (maxLength: number) => Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maxLength))

const Uuid = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i),
)

const Revision = Schema.Struct({ clock: Count, hlc: text(512), opId: Uuid })

const Stamp = Schema.Struct({
  ...Revision.fields,
  deviceId: text(256).pipe(Schema.filter((id) => id.trim() !== '' || 'is blank')),
})

const Change = Schema.Struct({
  serverVersion: Version,
  tableName: Schema.Literal('threads', 'messages', 'projects', 'posts', 'kv', 'file_meta', 'notifications'),
  pk: Schema.String,
  op: Schema.Literal('put', 'delete'),
  payload: Schema.optional(Schema.Unknown),
  stamp: Stamp,
})

const PullAnswer = Schema.Struct({
  changes: Schema.Array(Change).pipe(Schema.maxItems(1_000)),
  nextCursor: Count,
  hasMore: Schema.Boolean,
  oldestRetainedVersion: Count,
  requiresSnapshot: Schema.Boolean,
})

const WinnerOf = Schema.Union(
  Schema.Struct({ kind: Schema.Literal('put'), payload: Schema.Unknown, revision: Revision }),
  Schema.Struct({
    kind: Schema.Literal('delete'),
    revision: Revision,
    serverDeletedAt: Schema.optionalWith(Count, { exact: true }),
  }),
)

const PushResult = Schema.Struct({
  opId: Schema.String,
  success: Schema.Boolean,
  serverVersion: Schema.optionalWith(Version, { exact: true }),
  replayed: Schema.optionalWith(Schema.Boolean, { exact: true }),
  applied: Schema.optionalWith(Schema.Boolean, { exact: true }),
  wasExisting: Schema.optionalWith(Schema.Boolean, { exact: true }),
  winner: Schema.optionalWith(WinnerOf, { exact: true }),
  payload: Schema.optionalWith(Schema.Unknown, { exact: true }),
  error: Schema.optionalWith(Schema.String, { exact: true }),
  errorCode: Schema.optionalWith(
    Schema.Literal(
      'VALIDATION_ERROR',
      'UNAUTHORIZED',
      'CONFLICT',
      'NOT_FOUND',
      'RATE_LIMITED',
      'OVERSIZED',
      'NETWORK_ERROR',
      'SERVER_ERROR',
      'UNKNOWN',
    ),
    { exact: true },
  ),
})

const PushAnswer = Schema.Struct({ results: Schema.Array(PushResult), serverVersion: Count })

/** Throws when an answer lacks a shape; gives it otherwise. */
const shaped = <A, I>(schema: Schema.Schema<A, I>, what: string) => {
  const decode = Schema.decodeUnknownEither(schema, { onExcessProperty: 'error' })
  return (answer: unknown): A =>
    Either.getOrThrowWith(
      decode(answer),
      (error) =>
        new Error(`the host refuses this ${what}: ${ParseResult.TreeFormatter.formatErrorSync(error)}`),
    )
}

const asPullAnswer = shaped(PullAnswer, 'pull answer')
const asPushAnswer = shaped(PushAnswer, 'push answer')

/** Throws with the first rule that does not hold. */
const hold = (what: string, rules: Readonly<Record<string, boolean>>) => {
  for (const [rule, holds] of Object.entries(rules)) {
    if (!holds) throw new Error(`the host refuses this ${what}: ${rule}`)
  }
}

const isUnique = (values: ReadonlyArray<string>) => new Set(values).size === values.length

/**
 * Checks the answer to a pull.
 *
 * @throws Error that says which rule is broken
 * @internal
 */
export const checkPullAnswer = (request: { readonly cursor: number }, answer: unknown): void => {
  const { changes, nextCursor, hasMore } = asPullAnswer(answer)
  const versions = changes.map(({ serverVersion }) => serverVersion)
  hold('pull answer', {
    'versions ascend strictly': versions.every((version, at) => at === 0 || version > versions[at - 1]!),
    'versions are above the cursor': versions.every((version) => version > request.cursor),
    'versions are up to nextCursor': versions.every((version) => version <= nextCursor),
    'op ids are unique in a page': isUnique(changes.map(({ stamp }) => stamp.opId)),
    'nextCursor is not below the cursor': nextCursor >= request.cursor,
    'with more to come nextCursor advances': !hasMore || nextCursor > request.cursor,
  })
}

/** A batch goes to the adapter with at most so many ops. */
const maxResults = 100

/** The id under which an op is answered. */
export const opIdOf = (op: unknown): string => {
  try {
    const { opId } = Object((Object(op) as { stamp?: unknown }).stamp) as { opId?: unknown }
    return typeof opId === 'string' ? opId : ''
  } catch {
    return ''
  }
}

/**
 * Checks the answer to a push. The host sends at most 100 ops; a larger batch of somebody else has more results.
 *
 * @throws Error that says which rule is broken
 * @internal
 */
export const checkPushAnswer = (request: { readonly ops: ReadonlyArray<unknown> }, answer: unknown): void => {
  const { results, serverVersion } = asPushAnswer(answer)
  const pushed = new Set(request.ops.map(opIdOf))
  const answered = results.map(({ opId }) => opId)
  const told = new Set(answered)
  hold('push answer', {
    'no op id has two results': told.size === answered.length,
    'every op id has a result': [...pushed].every((opId) => told.has(opId)),
    'no result is of an op that was not pushed': answered.every((opId) => pushed.has(opId)),
    'there are at most 100 results': results.length <= Math.max(maxResults, pushed.size),
    'no result is above the watermark': results.every(
      (result) => (result.serverVersion ?? 0) <= serverVersion,
    ),
    'only a success is replayed': results.every(({ replayed, success }) => replayed !== true || success),
    'a replay that does not stand has a winner': results.every(
      ({ replayed, applied, winner }) => replayed !== true || applied !== false || winner !== undefined,
    ),
    'whatever does not stand has a winner': results.every(
      ({ applied, winner }) => applied !== false || winner !== undefined,
    ),
  })
}
