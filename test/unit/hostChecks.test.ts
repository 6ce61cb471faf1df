/**
 * Issue 14, point 2: the host's checks as we have written them down refuse what the host refuses, rule by rule.
 */
import { describe, expect, it } from 'vitest'
import { checkPullAnswer, checkPushAnswer } from '../../src/nuxt/hostChecks.js'
import { opId, put } from '../support/ops.js'

const change = (serverVersion: number, stamp: object = {}, rest: object = {}) => ({
  serverVersion,
  tableName: 'messages',
  pk: 'm1',
  op: 'put',
  payload: { id: 'm1' },
  stamp: { deviceId: 'd', opId: opId(`c${serverVersion}`), hlc: '0', clock: 1, ...stamp },
  ...rest,
})

const page = (fields: object = {}) => ({
  changes: [change(3), change(5)],
  nextCursor: 5,
  hasMore: true,
  oldestRetainedVersion: 0,
  requiresSnapshot: false,
  ...fields,
})

const without = (object: object, key: string) =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== key))

describe('the checks of a pull', () => {
  it('accept a page, and an empty one', () => {
    checkPullAnswer({ cursor: 2 }, page())
    checkPullAnswer({ cursor: 5 }, page({ changes: [], nextCursor: 5, hasMore: false }))
  })

  it.each<readonly [string, unknown]>([
    ['no oldestRetainedVersion', without(page(), 'oldestRetainedVersion')],
    ['no requiresSnapshot', without(page(), 'requiresSnapshot')],
    ['no hasMore', without(page(), 'hasMore')],
    ['a negative oldestRetainedVersion', page({ oldestRetainedVersion: -1 })],
    ['a requiresSnapshot that is none', page({ requiresSnapshot: 0 })],
    [
      'more than 1,000 changes',
      page({ changes: Array.from({ length: 1_001 }, (_, n) => change(n + 3)), nextCursor: 9_999 }),
    ],
    ['a version of 0', page({ changes: [change(0)] })],
    ['a fraction for a version', page({ changes: [change(3.5)] })],
    ['a version twice', page({ changes: [change(3), change(3, { opId: opId('other') })] })],
    ['versions that descend', page({ changes: [change(5), change(3)] })],
    ['a version at the cursor', page({ changes: [change(2), change(3)] })],
    ['a version above nextCursor', page({ changes: [change(3), change(6)] })],
    ['an op id that is no UUID', page({ changes: [change(3, { opId: 'op-1' })] })],
    ['an empty op id', page({ changes: [change(3, { opId: '' })] })],
    ['an op id twice', page({ changes: [change(3, { opId: opId('x') }), change(5, { opId: opId('x') })] })],
    ['no hlc', page({ changes: [change(3, { hlc: '' })] })],
    ['an hlc of 513 characters', page({ changes: [change(3, { hlc: 'h'.repeat(513) })] })],
    ['no device id', page({ changes: [change(3, { deviceId: '' })] })],
    ['a blank device id', page({ changes: [change(3, { deviceId: '  ' })] })],
    ['a device id of 257 characters', page({ changes: [change(3, { deviceId: 'd'.repeat(257) })] })],
    ['a negative clock', page({ changes: [change(3, { clock: -1 })] })],
    ['an unknown operation', page({ changes: [change(3, {}, { op: 'patch' })] })],
    ['a nextCursor below the cursor', page({ changes: [], nextCursor: 1, hasMore: false })],
    ['more to come without an advance', page({ changes: [], nextCursor: 2 })],
    ['nothing at all', undefined],
  ])('refuse %s', (_what, answer) => {
    expect(() => checkPullAnswer({ cursor: 2 }, answer)).toThrow('the host refuses this pull answer')
  })
})

describe('the checks of a push', () => {
  const [a, b] = [opId('a'), opId('b')]
  const request = { ops: [put({ id: 'a' }), put({ id: 'b' })] }
  const revision = { clock: 1, hlc: '0', opId: a }
  const winner = { kind: 'put', payload: {}, revision }
  const ok = { opId: a, success: true, serverVersion: 4, applied: true, wasExisting: false }
  const failed = { opId: b, success: false, errorCode: 'CONFLICT', error: 'taken' }
  const answer = (...results: ReadonlyArray<object>) => ({ results, serverVersion: 4 })

  it('accept what each op may be told', () => {
    for (const told of [
      ok,
      { ...ok, applied: false, winner, payload: {} },
      { ...ok, replayed: true },
      { ...ok, replayed: true, applied: false, winner: { kind: 'delete', revision, serverDeletedAt: 5 } },
      { ...ok, replayed: true, applied: false, winner: { kind: 'delete', revision } },
    ]) {
      checkPushAnswer(request, answer(told, failed))
    }
    checkPushAnswer({ ops: [put({ id: 'a' }), put({ id: 'a' })] }, answer(ok))
    checkPushAnswer({ ops: [] }, { results: [], serverVersion: 0 })
  })

  it.each<readonly [string, unknown]>([
    ['no result for an op', answer(ok)],
    ['two results for an op', answer(ok, failed, failed)],
    ['a result for nobody', answer(ok, failed, { ...failed, opId: opId('c') })],
    ['a version of 0', answer({ ...ok, serverVersion: 0 }, failed)],
    ['a version above the watermark', answer({ ...ok, serverVersion: 5 }, failed)],
    ['an unknown code', answer(ok, { ...failed, errorCode: 'BUSY' })],
    ['an error that is no text', answer(ok, { ...failed, error: { code: 1 } })],
    ['a failure that is replayed', answer(ok, { ...failed, replayed: true })],
    ['a replay that lost to nobody', answer({ ...ok, replayed: true, applied: false }, failed)],
    ['an op that lost to nobody', answer({ ...ok, applied: false }, failed)],
    [
      'a winner without a revision',
      answer({ ...ok, applied: false, winner: { kind: 'put', payload: {} } }, failed),
    ],
    [
      'a winner whose op id is no UUID',
      answer({ ...ok, applied: false, winner: { ...winner, revision: { ...revision, opId: 'x' } } }, failed),
    ],
    [
      'a winner of another kind',
      answer({ ...ok, applied: false, winner: { ...winner, kind: 'patch' } }, failed),
    ],
    ['a field that hosts do not know', answer({ ...ok, tableName: 'messages' }, failed)],
    ['no watermark', { results: [ok, failed] }],
  ])('refuse %s', (_what, told) => {
    expect(() => checkPushAnswer(request, told)).toThrow('the host refuses this push answer')
  })
})
