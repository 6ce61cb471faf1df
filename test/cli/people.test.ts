/**
 * Issue 16, point 7: what the command tells of people, and changes, beside a server; and a database that it makes.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openProvider, type Provider } from '../../src/nuxt/adapters.js'
import { makeCommand, migrationNames, newestMigration } from '../support/command.js'
import { migrateUpTo } from '../support/earlierRelease.js'

const { folder, run } = makeCommand()

describe.each(['file', 'turso'])('people in a database of a %s', (kind) => {
  const file = join(folder, `people-${kind}.db`)
  const env: Record<string, string> =
    kind === 'file'
      ? { OR3_SQLITE_DB_PATH: file }
      : { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: `file:${file}` }
  const command = (...args: ReadonlyArray<string>) => run(undefined, args, env)
  const told = async (...args: ReadonlyArray<string>) => {
    const { code, stdout, stderr } = await command(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const list = async (...args: ReadonlyArray<string>) =>
    JSON.parse(await told(...args, '--json')) as ReadonlyArray<Record<string, any>>

  let provider: Provider
  let ada: string
  let bob: string
  let workspace: string

  beforeAll(async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {})
    provider = openProvider({ env })
    await provider.ready
    const store = provider.workspaceStore
    const user = async (providerUserId: string, displayName: string) =>
      (
        await store.getOrCreateUser({
          ...{ provider: 'dev', providerUserId, displayName, email: `${providerUserId}@example.org` },
        })
      ).userId
    ada = await user('ada', 'Ada \u009b31m')
    bob = await user('bob', 'Bob')
    workspace = (await store.getOrCreateDefaultWorkspace(ada)).workspaceId
    const gone = await store.createWorkspace({ userId: ada, name: 'Gone' })
    await store.removeWorkspace({ userId: ada, workspaceId: gone.workspaceId })
    await store.createInvite({
      ...{ workspaceId: workspace, email: 'eve@example.org', role: 'editor', invitedByUserId: ada },
      ...{ expiresAt: 2e9, tokenHash: 'hash-of-a-token' },
    })
  })
  afterAll(async () => {
    await provider.close()
    vi.restoreAllMocks()
  })

  it('are listed, found, and told as JSON, without what a terminal would act on', async () => {
    expect((await list('users')).map(({ userId }) => userId).sort()).toEqual([ada, bob].sort())
    expect(await list('users', '--search', 'BOB')).toEqual([
      { userId: bob, email: 'bob@example.org', displayName: 'Bob' },
    ])
    expect(await told('users', '--search', 'ada')).toBe(`${ada}  "ada@example.org"  "Ada \\u009b31m"\n`)
    const more = await command('users', '--limit', '1')
    expect([more.stdout.split('\n').length, more.stderr]).toEqual([
      2,
      'there may be more: --search finds them\n',
    ])
  })

  it('share workspaces, of which removed ones are shown when asked for', async () => {
    expect(await told('workspaces')).toBe(`${workspace}  "My Workspace"  1 member  owner "ada@example.org"\n`)
    expect((await list('workspaces', '--all')).map(({ name, deleted }) => [name, deleted]).sort()).toEqual([
      ['Gone', true],
      ['My Workspace', false],
    ])
    expect(await list('workspaces', '--search', 'gone')).toEqual([])
  })

  it('purge what was removed, as they were told before', async () => {
    const store = provider.workspaceStore
    const made = await store.createWorkspace({ userId: ada, name: 'To be purged' })
    const purge = (...more: ReadonlyArray<string>) =>
      command('workspaces', 'purge', made.workspaceId, ...more)
    const live = await purge()
    expect([live.code, live.errors]).toEqual([
      1,
      ['or3-sqlite: the workspace is in use: remove it in the application first'],
    ])
    await store.removeWorkspace({ userId: ada, workspaceId: made.workspaceId })
    const amounts =
      '0 records, 0 of the log, 1 member, 0 invites, 0 jobs, 0 webhooks, 0 of their deliveries\n'
    for (const _ of [1, 2]) expect((await purge('--dry-run')).stdout).toBe(`would take ${amounts}`)
    const { stdout, stderr } = await purge()
    expect(stdout).toBe(`workspace ${made.workspaceId} is purged: ${amounts}`)
    expect(stderr).toBe(
      kind === 'file' ? 'their bytes stay in free pages of the file until `or3-sqlite vacuum`\n' : '',
    )
    expect((await purge()).stdout).toContain('purged: 0 records, 0 of the log, 0 members')
    expect((await command('workspaces', 'purge', 'nowhere')).code).toBe(2)
    expect((await command('check')).stdout).toContain('all hold')
  })

  it('are erased, as they were told before', async () => {
    const made = await provider.workspaceStore.getOrCreateUser({
      ...{ provider: 'dev', providerUserId: 'mia', email: 'mia@example.org' },
    })
    const mia = made.userId
    const shared = await provider.workspaceStore.createWorkspace({ userId: mia, name: 'Of Mia' })
    await provider.workspaceStore.getOrCreateDefaultWorkspace(mia)
    const erase = (...more: ReadonlyArray<string>) => command('users', 'erase', mia, ...more)
    await command('members', 'add', shared.workspaceId, bob, 'viewer')
    const refused = await erase()
    expect([refused.code, refused.errors]).toEqual([
      1,
      [
        `or3-sqlite: The user is the only owner of workspaces that others share: ${shared.workspaceId}. ` +
          'Make somebody else an owner by `or3-sqlite members role WORKSPACE USER owner`, or remove them in the application',
      ],
    ])
    await command('members', 'remove', shared.workspaceId, bob)
    const amounts =
      '1 workspace, 1 membership, 1 of their identities, 0 invites, 0 jobs, 0 webhooks, 0 of their deliveries, 0 device cursors, 0 notifications\n'
    for (const _ of [1, 2]) expect((await erase('--dry-run')).stdout).toBe(`would take ${amounts}`)
    const { stdout, stderr } = await erase()
    expect(stdout).toBe(`user ${mia} is erased: ${amounts}`)
    expect(stderr).toBe(
      kind === 'file' ? 'their bytes stay in free pages of the file until `or3-sqlite vacuum`\n' : '',
    )
    expect((await erase()).stdout).toContain('is erased: 0 workspaces, 0 memberships')
    expect((await command('users', 'erase', 'nobody')).code).toBe(2)
    expect((await command('check')).stdout).toContain('all hold')
    expect(await list('users', '--search', 'mia')).toEqual([])
  })

  it('are made members, given roles and removed, and the server knows at once', async () => {
    const roleOf = (userId: string) =>
      provider.workspaceStore.getWorkspaceRole({ userId, workspaceId: workspace })
    expect(await told('members', 'add', workspace, 'bob@example.org', 'editor')).toBe(
      `${bob} is editor of ${workspace}\n`,
    )
    expect(await roleOf(bob)).toBe('editor')
    await told('members', 'role', workspace, bob, 'viewer')
    expect(await roleOf(bob)).toBe('viewer')
    expect((await list('members', workspace)).map(({ userId, role }) => [userId, role])).toEqual(
      expect.arrayContaining([
        [ada, 'owner'],
        [bob, 'viewer'],
      ]),
    )
    await told('members', 'remove', workspace, bob)
    expect(await roleOf(bob)).toBeNull()
    const made = await told('members', 'add', workspace, 'zoe', 'viewer', '--provider', 'dev')
    expect(made).toMatch(/^\S+ is viewer of \S+; nobody has signed in as that yet\n$/)
    const zoe = await provider.workspaceStore.getOrCreateUser({ provider: 'dev', providerUserId: 'zoe' })
    expect(await roleOf(zoe.userId)).toBe('viewer')
  })

  it('are invited, which can be taken back, and no hash of a token is told', async () => {
    const [invite] = await list('invites', workspace)
    expect(invite).toMatchObject({ email: 'eve@example.org', role: 'editor', status: 'pending' })
    expect(JSON.stringify(invite)).not.toContain('hash-of-a-token')
    await told('invites', 'revoke', workspace, invite!.id as string)
    expect(await provider.workspaceStore.listInvites({ workspaceId: workspace })).toMatchObject([
      { id: invite!.id as string, status: 'revoked' },
    ])
    expect(await list('invites', workspace, '--status', 'pending')).toEqual([])
  })

  it('administer the deployment when the command says so', async () => {
    const { stdout, stderr } = await command('admins')
    expect([stdout, stderr]).toEqual(['', 'nobody: `or3-sqlite admins grant USER` makes the first\n'])
    await told('admins', 'grant', ada)
    expect(await provider.adminStores.createAdminUserStore().isAdmin({ userId: ada })).toBe(true)
    expect((await list('admins')).map(({ userId }) => userId)).toEqual([ada])
    await told('admins', 'revoke', ada)
    expect(await list('admins')).toEqual([])
  })

  const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
    [['members'], 2, /name a workspace: `or3-sqlite workspaces` lists them/],
    [['members', 'nothing'], 2, /no such workspace, or it was removed: `or3-sqlite workspaces --all`/],
    [['members', 'add', 'W', 'who@example.org', 'viewer'], 2, /nobody has signed in with this address/],
    [['members', 'add', 'W', 'nobody', 'viewer'], 2, /there is no such user/],
    [['members', 'add', 'W', 'a@b.c', 'viewer', '--provider', 'dev'], 2, /needs no --provider/],
    [['members', 'remove', 'W', 'nobody'], 2, /no member of the workspace/],
    [['members', 'role', 'W', 'ADA', 'viewer'], 1, /needs at least one owner/],
    [['invites', 'revoke', 'W', 'none'], 2, /has no such invite/],
    [['admins', 'grant', 'nobody'], 2, /`or3-sqlite users` lists them/],
    [['workspaces', '--page', '0'], 2, /--page is 0, but goes from 1$/],
    [['users', '--limit', '101'], 2, /--limit is 101, but goes from 1 to 100/],
  ]

  // What is refused, the services decide, whatever engine they run on.
  it.each(kind === 'file' ? refusals : refusals.slice(0, 2))('or not: %j', async (args, code, message) => {
    const given = args.map((arg) => (arg === 'W' ? workspace : arg === 'ADA' ? ada : arg))
    const ended = await command(...given)
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code, stdout: '' })
    expect(ended.errors).toEqual([expect.stringMatching(message)])
  })
})

it('a workspace without an owner, and an id that a terminal would act on, as adopted databases may have', async () => {
  const file = join(folder, 'ownerless.db')
  await run(file, ['migrate', '--create'])
  const database = new Sqlite(file)
  database.exec(`
    INSERT INTO users (id, email, created_at) VALUES ('a' || char(7) || 'da', 'ada@example.org', 1), ('bob', NULL, 2);
    INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'Less', 1), ('x' || char(27) || '[31m', 'Red', 2);
    INSERT INTO server_version_counter (workspace_id, value) VALUES ('x' || char(27) || '[31m', 0);
    INSERT INTO workspace_invites (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash, created_at, updated_at)
    VALUES ('i', 'w', 'eve@example.org', 'viewer', 'pending', 'bob', 2000000000, 'hash', 1, 1)`)
  database.close()
  // Who came first comes first, and the columns stand below each other.
  expect((await run(file, ['users'])).stdout).toBe(
    'a\\u0007da  "ada@example.org"  -\nbob        -                  -\n',
  )
  expect((await run(file, ['status'])).stdout).toContain('workspace x\\u001b[31m "Red"')
  expect(await run(file, ['invites', 'revoke', 'w', 'i'])).toMatchObject({
    ...{ code: 1, stderr: expect.stringContaining('`or3-sqlite members add w WHO owner` first') as string },
  })
  await run(file, ['admins', 'grant', 'bob'])
  expect((await run(file, ['invites', 'revoke', 'w', 'i'])).code).toBe(0)
  expect((await run(file, ['invites', 'w', '--status', 'revoked'])).stdout).toMatch(/^i  /)
})

it('a file that cannot be written is listed, and one of an older schema is not', async () => {
  const file = join(folder, 'old.db')
  await migrateUpTo(file, 7)
  const { code, stderr } = await run(file, ['users'])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringContaining('run `or3-sqlite migrate`') as string,
  })
  await run(file, ['migrate'])
  chmodSync(file, 0o444)
  expect(await run(file, ['users', '--json'])).toMatchObject({ code: 0, stdout: '[]\n' })
})

it('of more invites than are listed it is said that there may be more', async () => {
  const file = join(folder, 'invites.db')
  await run(file, ['migrate', '--create'])
  const database = new Sqlite(file)
  database.exec(`INSERT INTO workspaces (id, name, created_at) VALUES ('w', 'W', 1)`)
  const insert = database.prepare(`
    INSERT INTO workspace_invites (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash, created_at, updated_at)
    VALUES (?, 'w', 'eve@example.org', 'viewer', ?, 'bob', 2000000000, 'hash', 1, 1)`)
  for (let n = 0; n < 501; n++) insert.run(`i${n}`, n === 0 ? 'revoked' : 'pending')
  database.close()
  for (const more of [[], ['--json']]) {
    const { code, stdout, stderr } = await run(file, ['invites', 'w', ...more])
    expect({ code, last: /i\d+/.exec(stdout)?.[0] }).toEqual({ code: 0, last: 'i500' })
    expect(stderr).toContain('the newest 500; there may be more: --status shows those of one status')
  }
  expect((await run(file, ['invites', 'w', '--status', 'revoked'])).stderr).toBe('')
})

describe('migrate --create', () => {
  const place = join(folder, 'fresh')
  const file = join(place, 'new.db')

  it('makes nothing where there is no folder, and nothing when it only tells', async () => {
    expect(await run(file, ['migrate', '--create'])).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining(`there is no folder ${place}`) as string },
    })
    const env = { OR3_SQLITE_DRIVER: 'turso', OR3_SQLITE_TURSO_URL: `file:${file}` }
    expect(await run(undefined, ['migrate', '--create'], env)).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining(`there is no folder ${place}`) as string },
    })
    mkdirSync(place)
    const { code, stdout } = await run(file, ['migrate', '--create', '--dry-run'])
    expect({ code, lines: stdout.split('\n').slice(0, -1) }).toEqual({
      ...{ code: 0, lines: migrationNames.map((name) => `pending: ${name}`) },
    })
    expect(existsSync(file)).toBe(false)
  })

  it('makes the database, once, and also of an empty file', async () => {
    // What a start leaves that was killed at once.
    writeFileSync(file, '')
    expect((await run(file, ['migrate'])).code).toBe(1)
    const { code, stdout } = await run(file, ['migrate', '--create'])
    expect({ code, lines: stdout.split('\n').slice(0, -1) }).toEqual({
      ...{ code: 0, lines: migrationNames.map((name) => `applied: ${name}`) },
    })
    expect((await run(file, ['migrate', '--create'])).stdout).toBe(
      `${file}: ${newestMigration}, up to date\n`,
    )
    // The next start takes it for what it is.
    expect((await run(file, ['status'])).stdout).not.toContain('seen file')
  })

  it('makes nothing of the file of another program', async () => {
    const other = join(place, 'other.db')
    writeFileSync(other, 'no database at all')
    expect((await run(other, ['migrate', '--create'])).code).toBe(1)
  })
})
