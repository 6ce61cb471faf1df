/**
 * Issue 5, "Done when": however many first logins of one person race on a file, fibers, connections or processes, there is
 * one user, one account, one workspace and one membership afterwards.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { buildForProcesses } from '../support/processes.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

beforeEach(() => void vi.spyOn(console, 'log').mockImplementation(() => {}))
afterEach(() => void vi.restoreAllMocks())

let files = 0
const newFile = () => join(folder, `login-${++files}.db`)

const identity = { provider: 'clerk', providerUserId: 'first', email: 'a@b.c', displayName: 'A' }

/** What the host does on every request, in its order. */
const session = async ({ workspaceStore: store }: Provider) => {
  const { userId } = await store.getOrCreateUser(identity)
  const { workspaceId, created } = await store.getOrCreateDefaultWorkspace(userId)
  const role = await store.getWorkspaceRole({ userId, workspaceId })
  return `${userId} ${workspaceId} ${String(role)}${created === undefined ? '' : ` created ${String(created)}`}`
}

const rowsOf = (file: string) => {
  const database = new Sqlite(file, { readonly: true })
  const count = (table: string) => database.prepare(`SELECT count(*) FROM ${table}`).pluck().get()
  try {
    return {
      users: count('users'),
      accounts: count('auth_accounts'),
      workspaces: count('workspaces'),
      memberships: count('workspace_members'),
      session: database
        .prepare(
          `SELECT u.id || ' ' || u.active_workspace_id || ' ' || m.role
           FROM users AS u JOIN workspace_members AS m ON m.user_id = u.id AND m.workspace_id = u.active_workspace_id`,
        )
        .pluck()
        .get(),
    }
  } finally {
    database.close()
  }
}

/** One of each, every session is that one, and one of them was told that it made the workspace. */
const expectOneOfEach = (file: string, told: ReadonlyArray<string>) => {
  expect(told.filter((session) => session.includes('created'))).toEqual([
    expect.stringMatching(/ created true$/),
  ])
  const sessions = told.map((session) => session.replace(/ created .*/, ''))
  expect(new Set(sessions).size).toBe(1)
  expect(sessions[0]).toMatch(/ owner$/)
  expect(rowsOf(file)).toEqual({ users: 1, accounts: 1, workspaces: 1, memberships: 1, session: sessions[0] })
}

describe('the same first login', () => {
  it('by fifty fibers on one connection', async () => {
    const file = newFile()
    const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
    const sessions = await Promise.all(Array.from({ length: 50 }, () => session(provider)))
    await provider.close()
    expect(sessions).toHaveLength(50)
    expectOneOfEach(file, sessions)
  })

  it('by fifty fibers on ten connections', async () => {
    const file = newFile()
    const providers = Array.from({ length: 10 }, () => openProvider({ env: { OR3_SQLITE_DB_PATH: file } }))
    const sessions = await Promise.all(Array.from({ length: 50 }, (_, i) => session(providers[i % 10]!)))
    for (const provider of providers) await provider.close()
    expect(sessions).toHaveLength(50)
    expectOneOfEach(file, sessions)
  })

  it('by fifty fibers in ten processes, on a new file, round after round', async () => {
    const built = buildForProcesses()
    const rounds = 3
    const processes = Array.from({ length: 10 }, () =>
      built.start(`
        import { createInterface } from 'node:readline'
        import { openProvider } from './src/nuxt/adapters.js'
        const identity = ${JSON.stringify(identity)}
        const session = async ({ workspaceStore: store }) => {
          const { userId } = await store.getOrCreateUser(identity)
          const { workspaceId, created } = await store.getOrCreateDefaultWorkspace(userId)
          const role = await store.getWorkspaceRole({ userId, workspaceId })
          return userId + ' ' + workspaceId + ' ' + role + (created === undefined ? '' : ' created ' + created)
        }
        console.log('ready')
        for await (const path of createInterface({ input: process.stdin })) {
          if (path === 'end') break
          const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
          const sessions = await Promise.all([1, 2, 3, 4, 5].map(() => session(provider)))
          await provider.close()
          for (const each of sessions) console.log('session ' + path + ' ' + each)
          console.log('done ' + path)
        }
        process.stdin.destroy()`),
    )
    try {
      await Promise.all(processes.map((each) => each.printed('ready')))
      const paths = Array.from({ length: rounds }, newFile)
      for (const path of paths) {
        for (const each of processes) each.send(path)
        await Promise.all(processes.map((each) => each.printed(`done ${path}`)))
      }
      for (const each of processes) each.send('end')
      const outcomes = await Promise.all(processes.map((each) => each.outcome))
      expect(outcomes.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(processes.map(() => '0 '))
      const lines = outcomes.flatMap(({ stdout }) => stdout.split('\n'))
      for (const path of paths) {
        const start = `session ${path} `
        const sessions = lines
          .filter((line) => line.startsWith(start))
          .map((line) => line.slice(start.length))
        expect(sessions).toHaveLength(50)
        expectOneOfEach(path, sessions)
      }
    } finally {
      for (const each of processes) each.stop('SIGKILL')
      await Promise.all(processes.map((each) => each.outcome))
      built.remove()
    }
  })
})
