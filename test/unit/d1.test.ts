/**
 * Issue 17, point 1: how statements are put to D1, and what its failures come to.
 */
import { describe, expect, it } from 'vitest'
import { bindingIn, type D1Binding, toD1 } from '../../src/layers/batch/d1.js'
import { failureOf } from '../../src/layers/batch/d1Errors.js'
import { newD1 } from '../support/d1Server.js'

const ask = async (d1: D1Binding, statement: { sql: string; params: ReadonlyArray<unknown> }) => {
  const { sql, params } = toD1(statement as never)
  const [answer] = await d1.batch([d1.prepare(sql).bind(...params)])
  return answer!.results
}

describe('a statement for D1', () => {
  it('has whole numbers as such, which the binding would make floating ones', async () => {
    const d1 = await newD1()
    const sql = 'SELECT typeof(?) AS whole, typeof(?) AS half, ? || ? AS text, typeof(?) AS none'
    expect(await ask(d1, { sql, params: [7, 7.5, 7, '!', null] })).toEqual([
      { whole: 'integer', half: 'real', text: '7!', none: 'null' },
    ])
    const big = 2 ** 52 + 1
    expect(await ask(d1, { sql: 'SELECT ? AS n, json_array(?) AS list', params: [big, big] })).toEqual([
      { n: big, list: `[${big}]` },
    ])
  })

  it('sends what is equal once, and tells a number from its text', () => {
    const given = { sql: 'SELECT ?, ?, ?, ?, ?', params: ['w', 1, 'w', '1', 1] }
    expect(toD1(given)).toEqual({
      sql: 'SELECT ?1, CAST(?2 AS INTEGER), ?1, ?3, CAST(?2 AS INTEGER)',
      params: ['w', 1, '1'],
    })
  })

  it('has whole characters alone, and keeps a NUL', async () => {
    const d1 = await newD1()
    expect(await ask(d1, { sql: 'SELECT hex(?) AS hex', params: ['a\ud800\0b'] })).toEqual([
      { hex: '61EFBFBD0062' },
    ])
  })
})

it.each([
  ['D1_ERROR: Network connection lost.', 'unreachable', 'perhaps'],
  ['Network connection lost.', 'unreachable', 'perhaps'],
  [
    'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
    'unreachable',
    'perhaps',
  ],
  [
    'D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.',
    'unreachable',
    'perhaps',
  ],
  ['D1_ERROR: D1 DB reset because its code was updated.', 'unreachable', 'perhaps'],
  ['D1_ERROR: D1 DB is overloaded. Too many requests queued.', 'unreachable', 'never'],
  ['D1_ERROR: D1 DB is overloaded. Requests queued for too long.', 'unreachable', 'never'],
  ['D1_ERROR: Exceeded maximum DB size.', 'full', 'never'],
  ['D1_ERROR: UNIQUE constraint failed: users.id: SQLITE_CONSTRAINT', 'constraint', 'perhaps'],
  ['D1_ERROR: database is locked: SQLITE_BUSY', 'busy', 'never'],
  ['D1_ERROR: string or blob too big: SQLITE_TOOBIG', 'tooLarge', 'perhaps'],
  ['D1_ERROR: no such table: users: SQLITE_ERROR', 'other', 'never'],
])('%s is %s, and was executed %s', (message, reason, execution) => {
  expect(failureOf(new Error(message))).toEqual({ reason, execution })
})

it('a failure that is not of the database is a bug', () => {
  expect(failureOf(new TypeError('undefined is not a function'))).toBeUndefined()
})

it('a binding is found by its name, and nothing else is taken for one', async () => {
  const d1 = await newD1()
  expect(bindingIn({ DB: d1 }, 'DB')).toBe(d1)
  for (const env of [
    undefined,
    {},
    { DB: 'text' },
    { DB: null },
    { DB: { prepare: () => {} } },
    { OTHER: d1 },
  ]) {
    expect(bindingIn(env, 'DB')).toBeUndefined()
  }
})
