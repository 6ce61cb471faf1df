/**
 * The host's checks of a snapshot's answer refuse what they are there to refuse.
 */
import { describe, expect, it } from 'vitest'
import type { HostSnapshotPage } from '../../src/nuxt/hostSnapshot.js'
import { checkSnapshotAnswer } from '../../src/nuxt/snapshotChecks.js'
import { isInstallable, lackOf } from '../../src/services/requiredFields.js'
import { primaryKeyField, type SnapshotItem, syncedTables } from '../../src/services/index.js'
import { requiredFields, whole } from '../support/records.js'

const revision = { clock: 1, hlc: 'h', opId: '6f1f9a3e-7d4b-4a57-9d0e-0d3c5f3b8a11' }
const row = (pk: string, tableName: SnapshotItem['tableName'] = 'kv'): SnapshotItem => ({
  kind: 'row',
  tableName,
  pk,
  payload: whole(tableName, pk),
  revision,
})
const tombstone = (pk: string): SnapshotItem => ({
  kind: 'tombstone',
  tableName: 'kv',
  pk,
  revision,
  serverDeletedAt: 7,
})

const request = { scope: { workspaceId: 'w1' }, pageSize: 3 }
const page: HostSnapshotPage = {
  workspaceId: 'w1',
  snapshotId: 'chain',
  highWatermark: 9,
  items: [row('a'), tombstone('b')],
  nextPageToken: 'next',
}
const second: HostSnapshotPage = { ...page, items: [row('c')], nextPageToken: null }

describe('the checks of a snapshot', () => {
  it('let good answers through', () => {
    checkSnapshotAnswer(request, page)
    checkSnapshotAnswer(request, second, page)
    checkSnapshotAnswer(request, {
      ...page,
      items: syncedTables
        .toSorted()
        .slice(0, 3)
        .map((t) => row('x', t)),
    })
    // U+1F600 is written with surrogates, which come before U+FFFF.
    checkSnapshotAnswer(request, { ...page, items: [row('\u{1f600}'), row('\uffff')] })
  })

  it.each<readonly [string, unknown]>([
    ['no object', null],
    ['another workspace', { ...page, workspaceId: 'w2' }],
    ['no snapshotId', { ...page, snapshotId: '' }],
    ['a watermark below 0', { ...page, highWatermark: -1 }],
    ['a token of no characters', { ...page, nextPageToken: '' }],
    ['a token of too many', { ...page, nextPageToken: 'x'.repeat(4_097) }],
    ['no token', { ...page, nextPageToken: undefined }],
    ['more items than asked for', { ...page, items: ['a', 'b', 'c', 'd'].map((pk) => row(pk)) }],
    ['items in another order', { ...page, items: [row('b'), row('a')] }],
    ['tables in another order', { ...page, items: [row('a', 'threads'), row('a', 'kv')] }],
    ['the order of bytes', { ...page, items: [row('\uffff'), row('\u{1f600}')] }],
    ['a record twice', { ...page, items: [row('a'), tombstone('a')] }],
    ['an unknown table', { ...page, items: [{ ...row('a'), tableName: 'users' }] }],
    ['an unknown kind', { ...page, items: [{ ...row('a'), kind: 'put' }] }],
    ['an empty key', { ...page, items: [row('')] }],
    ['a key that is too long', { ...page, items: [row('x'.repeat(1_025))] }],
    ['a clock that is no count', { ...page, items: [{ ...row('a'), revision: { ...revision, clock: -1 } }] }],
    ['an empty reading', { ...page, items: [{ ...row('a'), revision: { ...revision, hlc: '' } }] }],
    [
      'an op id that is no UUID',
      { ...page, items: [{ ...row('a'), revision: { ...revision, opId: 'op-1' } }] },
    ],
    ['no op id', { ...page, items: [{ ...row('a'), revision: { clock: 1, hlc: 'h' } }] }],
    ['a tombstone without a time', { ...page, items: [{ ...tombstone('a'), serverDeletedAt: null }] }],
    ['a row without a payload', { ...page, items: [{ ...row('a'), payload: undefined }] }],
  ])('refuse %s', (_what, answer) => {
    expect(() => checkSnapshotAnswer(request, answer)).toThrow("a snapshot's answer breaks a rule")
  })

  it.each<readonly [string, HostSnapshotPage]>([
    ['another chain', { ...second, snapshotId: 'other' }],
    ['another watermark', { ...second, highWatermark: 10 }],
    ['a token that comes again', { ...second, nextPageToken: 'next' }],
    ['a record that was there', { ...second, items: [row('b')] }],
    ['a record before those that were there', { ...second, items: [row('0')] }],
  ])('refuse a page with %s', (_what, answer) => {
    expect(() => checkSnapshotAnswer(request, answer, page)).toThrow("a snapshot's answer breaks a rule")
  })

  it('refuse tables that were not asked for', () => {
    expect(() => checkSnapshotAnswer({ ...request, tables: ['threads'] }, page)).toThrow('asked for')
  })

  it.each(syncedTables)('agree with the rule of what a client can install: %s', (table) => {
    const good = whole(table, 'x')
    const variants: Array<Record<string, unknown>> = [good, { ...good, title: null }, { ...good, title: 1 }]
    for (const field of [primaryKeyField(table), ...Object.keys(requiredFields[table]), 'postType']) {
      for (const value of [undefined, null, 0, 1.5, '', 'x', true, []]) {
        variants.push({ ...good, [field]: value })
        if (table === 'posts') variants.push({ ...good, post_type: undefined, postType: 'x', [field]: value })
      }
    }
    for (const variant of variants) {
      const payload = JSON.parse(JSON.stringify(variant)) as unknown
      const item = { kind: 'row', tableName: table, pk: 'x', payload, revision }
      const passes = () => checkSnapshotAnswer(request, { ...page, items: [item] })
      expect(lackOf(table, payload) === undefined).toBe(isInstallable(table, payload))
      if (isInstallable(table, payload)) expect(passes, JSON.stringify(payload)).not.toThrow()
      else expect(passes, JSON.stringify(payload)).toThrow()
    }
  })
})
