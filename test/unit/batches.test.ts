/**
 * Batches as plain values: given a request, these statements; given these rows, this outcome.
 */
import Sqlite from 'better-sqlite3'
import { Either } from 'effect'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { type Batch, statement } from '../../src/layers/sql/batch.js'
import * as memberships from '../../src/layers/sql/membershipBatches.js'
import * as intents from '../../src/layers/sql/uploadIntentBatches.js'
import * as workspaces from '../../src/layers/sql/workspaceBatches.js'
import { openProvider } from '../../src/nuxt/adapters.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

describe('a statement', () => {
  it('takes its parameters by name, in the order of its text, as often as they stand there', () => {
    const text = statement('SELECT :b, :a, :b')
    expect(text.sql).toBe('SELECT ?, ?, ?')
    expect(text({ a: 1, b: null, c: 'not asked for' })).toEqual({ sql: text.sql, params: [null, 1, null] })
  })

  it('refuses to run without one of them', () => {
    expect(() => statement('SELECT :a')({})).toThrow('the parameter a is missing')
  })
})

describe('the reading', () => {
  const { read } = memberships.setRole({ userId: 'u', workspaceId: 'w' }, 'viewer', 7)
  it.each([
    ['no workspace', [[], [{ role: 'owner' }], [], []], 'WorkspaceNotFound'],
    ['no member', [[{ id: 'w' }], [], [], []], 'MemberNotFound'],
    ['the last owner', [[{ id: 'w' }], [{ role: 'owner' }], [], []], 'LastOwner'],
  ])('of %s is %s', (_name, results, tag) => {
    expect(read(results)).toMatchObject(Either.left({ _tag: tag }))
  })

  it('of one owner of two is that it is done', () => {
    expect(read([[{ id: 'w' }], [{ role: 'owner' }], [{ user_id: 'v' }], []])).toEqual(Either.void)
  })

  it('of an intent that was refused for no reason the rules know is a bug, and not a success', () => {
    const { read } = intents.cancel({ workspaceId: 'w', intentId: 'i' }, 5)
    const active = { hash: 'h', mimeType: 'm', sizeBytes: 1, expiresAt: 10, settled: 0 }
    expect(() => read([[], [active]])).toThrow('a statement refused what the rules allow')
  })
})

type Member = workspaces.Membership

describe('on a database that commits whatever comes of it', () => {
  const { folder, remove } = temporaryFolder()
  afterAll(remove)
  const path = `${folder}/batches.db`
  let database: Sqlite.Database
  beforeEach(async () => {
    await openProvider({ env: { OR3_SQLITE_DB_PATH: path } }).close()
    database = new Sqlite(path)
    database.pragma('foreign_keys = ON')
    for (const table of [
      'upload_reservations',
      'workspace_members',
      'auth_accounts',
      'users',
      'workspaces',
    ]) {
      database.exec(`UPDATE users SET active_workspace_id = NULL; DELETE FROM ${table}`)
    }
    return () => database.close()
  })

  const run = <A, E>({ statements, read }: Batch<A, E>) =>
    read(
      statements.map(({ sql, params }) => {
        const prepared = database.prepare<Array<unknown>, Record<string, unknown>>(sql)
        if (prepared.reader) return prepared.all(...params)
        prepared.run(...params)
        return []
      }),
    )
  const count = (table: string) =>
    database.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get()!

  const identity = { provider: 'p', providerUserId: 'ada' }
  const fresh = (freshId: string) => ({ freshId, now: 7 })

  const twoWorkspaces = () => {
    for (const id of ['w1', 'w2']) {
      run(workspaces.createWorkspace('u', { name: id, description: null }, fresh(id)))
    }
  }

  it('a user who is there already is not added again', () => {
    for (const [email, id] of [
      ['a@b.c', 'u1'],
      ['d@e.f', 'u2'],
    ] as const) {
      const saved = run(workspaces.saveUser(identity, { email, displayName: undefined }, fresh(id)))
      expect(saved).toEqual(Either.right({ userId: 'u1' }))
    }
    expect([count('users'), count('auth_accounts')]).toEqual([1, 1])
    expect(run(workspaces.findUser(identity))).toEqual(Either.right({ userId: 'u1', email: 'd@e.f' }))
  })

  it('nobody gets a workspace, and a user no second first one', () => {
    expect(run(workspaces.chooseDefault('nobody', fresh('w0')))).toMatchObject({ _tag: 'Left' })
    expect(
      run(workspaces.createWorkspace('nobody', { name: 'n', description: null }, fresh('w0'))),
    ).toMatchObject({
      _tag: 'Left',
    })
    expect([count('workspaces'), count('workspace_members')]).toEqual([0, 0])
    run(workspaces.saveUser(identity, { email: null, displayName: null }, fresh('u')))
    for (const id of ['w1', 'w2']) run(workspaces.chooseDefault('u', fresh(id)))
    expect([count('workspaces'), count('workspace_members')]).toEqual([1, 1])
  })

  it('an active workspace that somebody chose meanwhile stays', () => {
    run(workspaces.saveUser(identity, { email: null, displayName: null }, fresh('u')))
    twoWorkspaces()
    expect(run(workspaces.setActive({ userId: 'u', workspaceId: 'w2' }))).toEqual(Either.void)
    const chosen = run(workspaces.chooseDefault('u', fresh('w3')))
    expect(chosen).toEqual(Either.right({ workspaceId: 'w2', workspaceName: 'w2' }))
  })

  it('in a workspace that is gone no role changes, and nobody goes', () => {
    for (const id of ['u', 'v']) {
      run(
        workspaces.saveUser(
          { ...identity, providerUserId: id },
          { email: null, displayName: null },
          fresh(id),
        ),
      )
    }
    const [owner, member] = ['u', 'v'].map((userId) => ({ userId, workspaceId: 'w' })) as [Member, Member]
    run(workspaces.createWorkspace('u', { name: 'n', description: null }, fresh('w')))
    run(memberships.addMember(member, 'editor', 7))
    run(workspaces.removeWorkspace(owner, 8))
    for (const batch of [memberships.setRole(member, 'viewer', 9), memberships.removeMember(member, 9)]) {
      expect(run<void, unknown>(batch)).toMatchObject({ left: { _tag: 'WorkspaceNotFound' } })
    }
    const role = database.prepare('SELECT role FROM workspace_members WHERE user_id = ?').pluck()
    expect(role.get('v')).toBe('editor')
  })

  it('a last owner who stays keeps the workspace active', () => {
    run(workspaces.saveUser(identity, { email: null, displayName: null }, fresh('u')))
    twoWorkspaces()
    const membership = { userId: 'u', workspaceId: 'w2' }
    run(workspaces.setActive(membership))
    expect(run(memberships.removeMember(membership, 7))).toMatchObject({ left: { _tag: 'LastOwner' } })
    expect(run(workspaces.findDefault('u'))).toMatchObject({ right: { workspaceId: 'w2' } })
  })

  it('a larger intent for a file takes only what it adds', () => {
    const reserve = (intentId: string, hash: string, sizeBytes: number) => {
      const file = { hash, mimeType: 'm', sizeBytes }
      const intent = { workspaceId: 'w', userId: undefined, intentId, file, expiresAt: 20, quotaBytes: 100 }
      return run(intents.reserve(intent, 10))
    }
    expect(reserve('other', 'o', 30)).toEqual(Either.void)
    expect(reserve('small', 'h', 40)).toEqual(Either.void)
    expect(reserve('too large', 'h', 71)).toMatchObject({ left: { _tag: 'QuotaExceeded' } })
    expect(reserve('large', 'h', 70)).toEqual(Either.void)
  })

  // Found by TEST_SEED=787491726 of files.test.ts.
  it('a reservation that is refused forgets no other', () => {
    const file = { hash: 'h', mimeType: 'm', sizeBytes: 0 }
    const reserve = (now: number) =>
      run(
        intents.reserve(
          { workspaceId: 'w', userId: undefined, intentId: 'i', file, expiresAt: now + 5, quotaBytes: 1 },
          now,
        ),
      )
    const day = 86_400
    expect(reserve(0)).toEqual(Either.void)
    expect(run(intents.consume({ workspaceId: 'w', intentId: 'i' }, file, 's', 1))).toEqual(Either.void)
    expect(reserve(day + 6)).toMatchObject({ _tag: 'Left' })
    expect(count('upload_reservations')).toBe(1)
  })
})
