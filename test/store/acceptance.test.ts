/**
 * Processes that accept the same invites at the same moment: one of them wins each, and nothing is left of the others.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeProcesses } from '../support/processes.js'

const { folder, start } = makeProcesses()

const rounds = 30

/** Accepts the invites of all rounds, as the person `PERSON` says; everybody begins a round at the same time. */
const script = `
  import { createInterface } from 'node:readline'
  import { openProvider } from './src/nuxt/adapters.js'
  const { workspaceStore, close } = openProvider()
  const { WORKSPACE: workspaceId, PERSON: person } = process.env
  const told = []
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'end') break
    const claim = { workspaceId, email: 'ann@b.c', tokenHash: 'h' + line }
    const identity = { provider: 'p', providerUserId: person + '-' + line, displayName: person }
    told.push(await workspaceStore.acceptInviteAndProvisionUser({ ...claim, ...identity }))
    console.log('done ' + line + ';')
  }
  await close()
  console.log(JSON.stringify(told))
  process.exit(0)`

describe.each([
  ['two processes, two people', ['a', 'b']],
  ['four processes, four people', ['a', 'b', 'c', 'd']],
  ['two processes, one person', ['a', 'a']],
  ['four processes, two people', ['a', 'a', 'b', 'b']],
])('%s', (name, people) => {
  it('get in once per invite, and nothing is left of whoever did not', async () => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.db`)
    const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: path } })
    const { workspaceStore: store } = provider
    const { userId: owner } = await store.getOrCreateUser({ provider: 'p', providerUserId: 'owner' })
    const { workspaceId } = await store.createWorkspace({ userId: owner, name: 'W' })
    for (let round = 0; round < rounds; round++) {
      await store.createInvite({
        workspaceId,
        email: 'ann@b.c',
        role: 'viewer',
        invitedByUserId: owner,
        expiresAt: 2e10,
        tokenHash: `h${round}`,
      })
    }
    await provider.close()

    const children = people.map((PERSON) =>
      start(script, { OR3_SQLITE_DB_PATH: path, WORKSPACE: workspaceId, PERSON }),
    )
    await Promise.all(children.map((child) => child.printed('ready')))
    for (let round = 0; round < rounds; round++) {
      for (const child of children) child.send(`${round}`)
      await Promise.all(children.map((child) => child.printed(`done ${round};`)))
    }
    for (const child of children) child.send('end')
    const outcomes = await Promise.all(children.map((child) => child.outcome))
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      outcomes.map(() => ({ code: 0, stderr: '' })),
    )
    type Told = { readonly ok: boolean; readonly userId?: string; readonly reason?: string }
    const told = outcomes.map(
      ({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1)!) as ReadonlyArray<Told>,
    )

    const winners: Array<string> = []
    for (let round = 0; round < rounds; round++) {
      const answers = told.map((answersOfOne) => answersOfOne[round]!)
      const won = answers.filter(({ ok }) => ok)
      expect(won).toEqual([{ ok: true, userId: expect.any(String), role: 'viewer', createdUser: true }])
      expect(answers.filter(({ ok }) => !ok)).toEqual(
        people.slice(1).map(() => ({ ok: false, reason: 'already_used' })),
      )
      winners.push(won[0]!.userId!)
    }
    const database = new Sqlite(path, { readonly: true })
    const column = (sql: string) => database.prepare<[], string>(sql).pluck().all()
    const everybody = [owner, ...winners].sort()
    expect(column('SELECT id FROM users ORDER BY id')).toEqual(everybody)
    expect(column('SELECT user_id FROM auth_accounts ORDER BY user_id')).toEqual(everybody)
    expect(column('SELECT user_id FROM workspace_members ORDER BY user_id')).toEqual(everybody)
    expect(
      column(
        `SELECT accepted_user_id FROM workspace_invites ORDER BY CAST(substr(token_hash, 2) AS INTEGER)`,
      ),
    ).toEqual(winners)
    expect(column(`SELECT DISTINCT status FROM workspace_invites`)).toEqual(['accepted'])
    database.close()
  }, 60_000)
})
