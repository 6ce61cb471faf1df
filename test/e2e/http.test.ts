/**
 * The status codes that a host's clients see: the host's own, and those that the provider's errors become.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { type Device, type Method, request, signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { killServers, type Server, startServer } from '../support/server.js'

interface Listed {
  readonly workspaces: ReadonlyArray<{ id: string; name: string; role: string; isActive: boolean }>
}

describe('the host over HTTP', () => {
  let folder: string
  let database: string
  let server: Server
  let ada: Device
  let grace: Device

  beforeAll(async () => {
    await builtHost()
    folder = mkdtempSync(join(tmpdir(), 'or3-e2e-http-'))
    database = join(folder, 'host.db')
    server = await startServer({ OR3_SQLITE_DB_PATH: database })
    ada = await signIn(server.url, 'ada')
    grace = await signIn(server.url, 'grace')
  })

  afterAll(() => {
    killServers()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each(['GET', 'HEAD'])(
    '%s of the health says how the database is, to everybody and no cache',
    async (method) => {
      const response = await fetch(`${server.url}/api/health`, { method })
      expect(response.status).toBe(200)
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(await response.text()).toBe(method === 'GET' ? '{"status":"ok"}' : '')
    },
  )

  const status = async (device: Device, method: Method, path: string, body?: unknown) =>
    (await device.call(method, path, body)).status

  const scope = (device: Device) => ({ scope: { workspaceId: device.session.workspace.id } })

  it.each([
    ['push', { ops: [] }],
    ['pull', { cursor: 0, limit: 100 }],
    ['update-cursor', { deviceId: 'd', version: 0 }],
    ['gc-tombstones', { retentionSeconds: 3_600 }],
    ['gc-change-log', { retentionSeconds: 3_600 }],
  ])('%s answers 200, or 400, 401 and 403 as it must', async (name, body) => {
    const path = `/api/sync/${name}`
    const good = { ...scope(ada), ...body }
    expect(await status(ada, 'POST', path, good)).toBe(200)
    expect(await status(ada, 'POST', path, body)).toBe(400)
    expect(await status(ada, 'POST', path, '{"scope":')).toBe(400)
    expect((await request(`${server.url}${path}`, 'POST', good)).status).toBe(401)
    expect(await status(grace, 'POST', path, good)).toBe(403)
  })

  it.each([
    ['push', { ops: [{ ...put(), operation: 'upsert' }] }],
    ['push', { ops: [{ ...put(), stamp: { ...put().stamp, clock: 0.5 } }] }],
    ['pull', { cursor: -1, limit: 100 }],
    ['pull', { cursor: 0, limit: 1_001 }],
    ['update-cursor', { deviceId: '', version: 0 }],
    ['gc-change-log', { retentionSeconds: 0 }],
  ])('%s answers 400 to %j', async (name, body) => {
    expect(await status(ada, 'POST', `/api/sync/${name}`, { ...scope(ada), ...body })).toBe(400)
  })

  it('answers 400 where the host lets pass what the provider refuses', async () => {
    const cursor = { ...scope(ada), deviceId: 'x'.repeat(257), version: 1 }
    expect(await status(ada, 'POST', '/api/sync/update-cursor', cursor)).toBe(400)
    for (const retentionSeconds of [3_599, 365 * 86_400 + 1]) {
      const gc = { ...scope(ada), retentionSeconds }
      expect(await status(ada, 'POST', '/api/sync/gc-change-log', gc)).toBe(400)
    }
    const ops = Array.from({ length: 1_001 }, (_, index) => put({ id: `many-${index}` }))
    expect((await ada.push(...ops)).status).toBe(400)
  })

  it('makes, lists, renames, chooses and removes workspaces', async () => {
    const made = await ada.call<{ workspaceId: string }>('POST', '/api/workspaces', { name: '  Lab ' })
    expect(made.status).toBe(200)
    const { workspaceId } = made.body
    const path = `/api/workspaces/${workspaceId}`
    expect(await status(ada, 'PATCH', path, { name: 'Library', description: 'quiet' })).toBe(200)
    expect(await status(ada, 'POST', '/api/workspaces/active', { workspaceId })).toBe(200)
    expect((await signIn(server.url, 'ada')).session.workspace).toEqual({ id: workspaceId, name: 'Library' })
    const { workspaces } = (await ada.call<Listed>('GET', '/api/workspaces')).body
    expect(workspaces.filter(({ isActive }) => isActive)).toMatchObject([{ id: workspaceId, role: 'owner' }])

    // The device's old workspace is no longer its session's.
    expect((await ada.pull()).status).toBe(403)
    expect(await status(ada, 'DELETE', path)).toBe(200)
    expect((await ada.pull()).status).toBe(200)
    expect(await status(ada, 'DELETE', path)).toBe(404)
  })

  it('answers 400, 401 and 404 on workspaces', async () => {
    const foreign = grace.session.workspace.id
    expect(await status(ada, 'POST', '/api/workspaces', { name: ' ' })).toBe(400)
    expect(await status(ada, 'POST', '/api/workspaces', { name: 'x'.repeat(101) })).toBe(400)
    expect((await request(`${server.url}/api/workspaces`, 'GET')).status).toBe(401)
    for (const id of ['unknown', foreign]) {
      expect(await status(ada, 'PATCH', `/api/workspaces/${id}`, { name: 'mine' })).toBe(404)
      expect(await status(ada, 'DELETE', `/api/workspaces/${id}`)).toBe(404)
      expect(await status(ada, 'POST', '/api/workspaces/active', { workspaceId: id })).toBe(404)
    }
  })

  it('lets a viewer read, and answers 403 to what it may not', async () => {
    const { workspace, user } = ada.session
    const invitation = new Sqlite(database)
    invitation
      .prepare(
        `INSERT INTO workspace_members (workspace_id, user_id, role, created_at) VALUES (?, ?, 'viewer', 1)`,
      )
      .run(workspace.id, grace.session.user.id)
    invitation.close()
    const chosen = await status(grace, 'POST', '/api/workspaces/active', { workspaceId: workspace.id })
    expect(chosen).toBe(200)

    const viewer = await signIn(server.url, 'grace')
    expect(viewer.session).toMatchObject({ role: 'viewer', workspace: { id: workspace.id } })
    expect(viewer.session.user.id).not.toBe(user.id)
    expect((await viewer.pull()).status).toBe(200)
    expect((await viewer.push(put())).status).toBe(403)
    expect(await status(viewer, 'PATCH', `/api/workspaces/${workspace.id}`, { name: 'mine' })).toBe(403)
    expect(await status(viewer, 'DELETE', `/api/workspaces/${workspace.id}`)).toBe(403)
  })

  it('lets two users share a workspace, until its owner removes it', async () => {
    const { workspace } = ada.session
    const promotion = new Sqlite(database)
    promotion
      .prepare(`UPDATE workspace_members SET role = 'editor' WHERE workspace_id = ? AND user_id = ?`)
      .run(workspace.id, grace.session.user.id)
    promotion.close()
    const editor = await signIn(server.url, 'grace')
    expect(editor.session).toMatchObject({ role: 'editor', workspace: { id: workspace.id } })
    expect((await editor.push(put({ pk: 'shared', device: 'phone' }))).status).toBe(200)
    expect((await ada.pull()).body.changes.map(({ pk }) => pk)).toContain('shared')
    expect(await status(editor, 'PATCH', `/api/workspaces/${workspace.id}`, { name: 'Ours' })).toBe(200)
    expect((await signIn(server.url, 'ada')).session.workspace.name).toBe('Ours')
    expect(await status(editor, 'DELETE', `/api/workspaces/${workspace.id}`)).toBe(403)

    expect(await status(ada, 'DELETE', `/api/workspaces/${workspace.id}`)).toBe(200)
    expect(await status(editor, 'PATCH', `/api/workspaces/${workspace.id}`, { name: 'Mine' })).toBe(404)
    expect((await editor.pull()).status).toBe(403)
    // Both are at home elsewhere: grace in her own workspace, ada in a new one.
    const [adaNow, graceNow] = [await signIn(server.url, 'ada'), await signIn(server.url, 'grace')]
    expect(graceNow.session).toMatchObject({ role: 'owner', workspace: { id: grace.session.workspace.id } })
    expect(adaNow.session.role).toBe('owner')
    expect(adaNow.session.workspace.id).not.toBe(workspace.id)
  })

  it('makes one user and one workspace of many first requests at once', async () => {
    const { cookie } = await request(`${server.url}/api/dev/sign-in`, 'POST', { name: 'alan' })
    const sessions = await Promise.all(
      Array.from({ length: 20 }, () => request(`${server.url}/api/auth/session`, 'GET', undefined, cookie)),
    )
    expect(new Set(sessions.map(({ body }) => JSON.stringify(body))).size).toBe(1)
  })

  it('refuses the development sign-in in production unless it is asked for', async () => {
    const locked = await startServer({
      OR3_SQLITE_DB_PATH: join(folder, 'locked.db'),
      NUXT_DEV_SIGN_IN: 'false',
    })
    expect((await request(`${locked.url}/api/dev/sign-in`, 'POST', { name: 'eve' })).status).toBe(403)
    const forged = await request(`${locked.url}/api/workspaces`, 'GET', undefined, 'or3_dev_user=ada')
    expect(forged.status).toBe(401)
    expect(await locked.stop()).toMatchObject({ code: 0 })
  })
})
