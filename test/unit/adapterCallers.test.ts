/**
 * The Promise adapters: whose call it is, and what that allows.
 */
import { describe, expect, it } from 'vitest'
import type { HostEvent } from '../../src/nuxt/host.js'
import { callerOf } from '../../src/nuxt/session.js'
import { everywhere, makeAdapters, statusOf } from '../support/adapterCalls.js'
import { put, scope } from '../support/ops.js'

const { provider, statusesFor } = makeAdapters()

const session = (fields: Record<string, unknown> | null | undefined): HostEvent => ({
  context: { nitro: {}, params: {}, __or3_session_context_8f3a: fields },
})

const signedIn = (userId: string, workspaceId: string | null): HostEvent =>
  session({
    authenticated: true,
    user: { id: userId, email: 'a@b.c' },
    workspace: workspaceId === null ? null : { id: workspaceId, name: 'W' },
    role: 'owner',
  })

const cursorOf = (deviceId: string) => ({ ...scope(), deviceId, version: 1 })

describe('a call', () => {
  it.each<readonly [string, HostEvent | undefined]>([
    ['without an event', undefined],
    ['whose event has no context', {}],
    ['whose event has an undefined context', { context: undefined }],
  ])('%s is trusted', async (_which, event) => {
    expect(callerOf(event)).toBeUndefined()
    expect(await statusesFor(event)).toEqual(everywhere(200))
  })

  it.each<readonly [string, HostEvent]>([
    ['has nothing', { context: {} }],
    ['has no session', { context: { nitro: {}, __or3_session: { authenticated: false } } }],
  ])('whose context %s is trusted, but for a cursor, which needs a session: 401', async (_which, event) => {
    expect(callerOf(event)).toBeUndefined()
    expect(await statusesFor(event)).toEqual({ ...everywhere(200), updateCursor: 401 })
    expect(await statusOf(() => provider().syncGateway.updateCursor(undefined, cursorOf('d')))).toBe(200)
  })

  it('of another user about a device is refused with 403', async () => {
    const report = (event: HostEvent | undefined) =>
      statusOf(() => provider().syncGateway.updateCursor(event, cursorOf('tablet')))
    expect(await report({})).toBe(200)
    expect(await report(signedIn('u1', 'w1'))).toBe(200)
    expect(await report(signedIn('u2', 'w1'))).toBe(403)
    expect(await report(signedIn('u1', 'w1'))).toBe(200)
    expect(await report(undefined)).toBe(200)
  })

  it('from a session of the same workspace goes through', async () => {
    expect(callerOf(signedIn('u1', 'w1'))).toEqual({ userId: 'u1', workspaceId: 'w1' })
    expect(await statusesFor(signedIn('u1', 'w1'))).toEqual(everywhere(200))
  })

  it.each([
    ['another workspace', signedIn('u1', 'w2')],
    ['no workspace', signedIn('u1', null)],
    ['a workspace of another case', signedIn('u1', 'W1')],
  ])('from a session of %s is refused with 403', async (_which, event) => {
    expect(await statusesFor(event)).toEqual(everywhere(403))
  })

  it.each([
    ['not signed in', { authenticated: false }],
    [
      'not signed in, but names somebody',
      { authenticated: false, user: { id: 'u1' }, workspace: { id: 'w1' } },
    ],
    ['of nobody', { authenticated: true }],
    ['whose user is null', { authenticated: true, user: null, workspace: { id: 'w1' } }],
    ['whose user has no id', { authenticated: true, user: {}, workspace: { id: 'w1' } }],
    ['that is only nearly true', { authenticated: 'yes', user: { id: 'u1' }, workspace: { id: 'w1' } }],
    ['that is null', null],
    ['that is undefined', undefined],
  ])('from a session %s is refused with 401', async (_which, fields) => {
    expect(await statusesFor(session(fields))).toEqual(everywhere(401))
  })

  it('that is refused does nothing', async () => {
    await statusesFor(signedIn('u1', 'w2'))
    await statusesFor(session({ authenticated: false }))
    const page = await provider().syncGateway.pull(undefined, { ...scope(), cursor: 0 })
    expect(page).toMatchObject({ changes: [], nextCursor: 0, hasMore: false })
  })

  it('cannot name its caller in the input: the event alone decides', async () => {
    const input = { ...scope('w2'), cursor: 0, caller: { userId: 'u1', workspaceId: 'w2' } }
    const call = () => provider().syncGateway.pull(signedIn('u1', 'w1'), input)
    expect(await statusOf(call)).toBe(403)
  })

  it('on behalf of a user does not show other users’ notifications', async () => {
    const notify = (id: string) => put({ id, table: 'notifications', pk: id, payload: { id } })
    for (const user of ['u1', 'u2']) {
      await provider().syncGateway.push(signedIn(user, 'w1'), { ...scope(), ops: [notify(`n-${user}`)] })
    }
    const { changes } = await provider().syncGateway.pull(signedIn('u2', 'w1'), { ...scope(), cursor: 0 })
    expect(changes.map(({ pk }) => pk)).toEqual(['n-u2'])
  })
})
