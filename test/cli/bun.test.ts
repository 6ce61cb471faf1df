/**
 * The operator's command under Bun, and files that go from one runtime to the other and back.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { brokenRules, makeLegacy, query } from '../support/adoption.js'
import { bun, openInBun } from '../support/bun.js'
import { damageIndex, type Ended, makeCommand, makeWorkspace } from '../support/command.js'
import { until } from '../support/realTime.js'
import { del, opId, put, scope } from '../support/ops.js'
import { deep } from '../support/property.js'

const { folder, runAlone, pushTo } = makeCommand({ program: bun })

const byNode = (database: string, args: ReadonlyArray<string>) =>
  runAlone(database, args, {}, process.execPath)

const fresh = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name, 'or3.db')
}

const open = (database: string) => openProvider({ env: { OR3_SQLITE_DB_PATH: database } })

/** Values that a careless driver would change. */
const odd = {
  ...{ id: 'odd', text: 'é\u2028\0 \u{1f642}', lone: '\ud800', '10': 'ten' },
  numbers: [0, -0.5, 1e300, 2 ** 53 - 1, 2 ** 40],
}

const pulled = async ({ syncGateway }: Pick<ReturnType<typeof open>, 'syncGateway'>, workspaceId: string) =>
  (await syncGateway.pull({}, { ...scope(workspaceId), cursor: 0, limit: 100 })).changes

describe('a file', () => {
  it('that Node wrote opens on Bun, and the other way round, with the same in it', async () => {
    const database = fresh('both')
    const workspaceId = await makeWorkspace(database)
    const own = scope(workspaceId)
    const pushed: Array<object> = []
    for (let round = 0; round < 4; round++) {
      const provider = round % 2 === 0 ? open(database) : await openInBun({ OR3_SQLITE_DB_PATH: database })
      expect(await pulled(provider, workspaceId)).toEqual(pushed)
      await provider.syncGateway.push({}, {
        ...own,
        ops: [
          put({
            id: opId(`kv-${round}`),
            table: 'kv',
            pk: `odd-${round}`,
            payload: { ...odd, id: `odd-${round}` },
          }),
          put({ id: opId(`m-${round}`), pk: 'm', clock: 2 ** 45 + round, payload: { id: 'm', n: round } }),
          del({ id: opId(`d-${round}`), pk: `gone-${round}`, clock: 1 }),
        ],
      } as never)
      const all = await pulled(provider, workspaceId)
      expect(all).toHaveLength(3 * (round + 1))
      pushed.splice(0, pushed.length, ...all)
      await provider.close()
      // Nothing stays beside it, whoever closed it.
      expect(readdirSync(join(folder, 'both')).sort()).toEqual(['or3.db', 'or3.db-seen'])
      expect(brokenRules(database)).toEqual({})
    }
    for (const check of [await runAlone(database, ['check']), await byNode(database, ['check'])]) {
      expect(check).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('all hold') })
    }
    // Neither took the other's file for a restored backup.
    expect(query(database, 'SELECT max(version_offset) AS o FROM server_version_counter')).toEqual([{ o: 0 }])
  })

  it('is served by processes of both at once', async () => {
    const database = fresh('at-once')
    const [node, other] = [open(database), await openInBun({ OR3_SQLITE_DB_PATH: database })]
    const push = ({ syncGateway }: Pick<typeof node, 'syncGateway'>, n: number) =>
      syncGateway.push({}, { ...scope(), ops: [put({ id: opId(`op-${n}`), pk: `m${n}` })] } as never)
    await Promise.all(Array.from({ length: 60 }, (_, n) => push(n % 2 === 0 ? node : other, n)))
    const changes = await pulled(other, 'w1')
    expect(changes.map(({ serverVersion }) => serverVersion)).toEqual(
      Array.from({ length: 60 }, (_, index) => index + 1),
    )
    expect(await pulled(node, 'w1')).toEqual(changes)
    await Promise.all([node.close(), other.close()])
    expect(brokenRules(database)).toEqual({})
  })

  it('of the earlier package is adopted by Bun as it is by Node', async () => {
    const [first, second] = [fresh('legacy-bun'), fresh('legacy-node')]
    makeLegacy(first, 17, (legacy) => legacy.sqlite.exec('SELECT 1'))
    copyFileSync(first, second)
    expect(await runAlone(first, ['migrate'])).toMatchObject({ code: 0 })
    expect(await byNode(second, ['migrate'])).toMatchObject({ code: 0 })
    const objects = 'SELECT type, name, sql FROM sqlite_schema ORDER BY name'
    expect(query(first, objects)).toEqual(query(second, objects))
    expect(await byNode(first, ['check'])).toMatchObject({ code: 0 })
  })
})

/** They differ from the rest in what they read and print, and not in how. */
const otherLines = [
  ...['migrate', 'migrate --dry-run', 'users --json', 'workspaces', 'workspaces --json', 'members ID'],
  ...['invites ID', 'admins', 'users --search bob', '--version', 'members nobody', 'nonsense'],
]

describe('the command under Bun', () => {
  let database: string
  let workspaceId: string

  beforeAll(async () => {
    database = fresh('command')
    workspaceId = await makeWorkspace(database)
    const { syncGateway, workspaceStore, close } = open(database)
    const ops = Array.from({ length: 40 }, (_, n) =>
      put({ id: opId(`r${n}`), pk: `m${n}`, payload: { n, text: 'x'.repeat(400) } }),
    )
    await syncGateway.push({}, { ...scope(workspaceId), ops } as never)
    await syncGateway.push({}, {
      ...scope(workspaceId),
      ops: [
        put({ id: opId('odd'), table: 'kv', pk: 'odd', payload: odd }),
        del({ id: opId('del'), pk: 'm1', clock: 9 }),
      ],
    } as never)
    await syncGateway.updateCursor({}, { ...scope(workspaceId), deviceId: 'laptop', version: 12 })
    await workspaceStore.getOrCreateUser({
      provider: 'test',
      providerUserId: 'bob',
      email: 'bob@example.org',
    })
    await close()
  })

  /** Without ages, which grow meanwhile. */
  const fact = ({ code, stdout, stderr }: Ended) => ({
    code,
    stdout: stdout.replace(/\d+ s (old|ago)/g, '… $1'),
    stderr,
  })

  it.each([
    ['status'],
    ['check'],
    ['export --workspace ID'],
    ...(deep ? otherLines.map((line) => [line]) : []),
  ])("says what Node's says: %s", async (line) => {
    const args = line.replace('ID', workspaceId).split(' ')
    const [here, there] = await Promise.all([runAlone(database, args), byNode(database, args)])
    expect(fact(here)).toEqual(fact(there))
  })

  if (deep) {
    it('tells status as Node does, all fields', async () => {
      const [here, there] = await Promise.all([
        runAlone(database, ['status', '--json']),
        byNode(database, ['status', '--json']),
      ])
      const plain = ({ stdout }: Ended) => stdout.replace(/"(oldestEntryAge|heardOf)": \d+/g, '')
      expect(plain(here)).toEqual(plain(there))
    })

    it('changes who may do what', async () => {
      const [{ userId: id }] = JSON.parse(
        (await runAlone(database, ['users', '--json', '--search', 'bob'])).stdout,
      ) as [{ userId: string }]
      for (const args of [
        ['members', 'add', workspaceId, id, 'editor'],
        ['admins', 'grant', id],
      ]) {
        expect(await runAlone(database, args)).toMatchObject({ code: 0, stderr: '' })
      }
      expect((await byNode(database, ['members', workspaceId])).stdout).toMatch(/editor/)
      expect(await runAlone(database, ['admins', 'revoke', id])).toMatchObject({ code: 0, stderr: '' })
    })
  }

  it('makes a database, and imports what was exported', async () => {
    const other = fresh('imported')
    const lines = join(folder, 'imported', 'export.jsonl')
    expect(await runAlone(database, ['export', '--workspace', workspaceId, '--out', lines])).toMatchObject({
      code: 0,
    })
    expect(await runAlone(other, ['migrate', '--create'])).toMatchObject({ code: 0 })
    expect(await runAlone(other, ['import', '--new', lines])).toMatchObject({ code: 0 })
    const exported = (file: string) => byNode(file, ['export', '--workspace', workspaceId])
    const records = ({ stdout }: Ended) => stdout.split('\n').slice(1).sort()
    expect(records(await exported(other))).toEqual(records(await exported(database)))
    expect(brokenRules(other)).toEqual({})
  })

  it.each(deep ? ['WAL', 'DELETE'] : ['WAL'])(
    'takes a sound backup of a file in mode %s that is written to',
    async (mode) => {
      const busy = fresh(`backup-${mode}`)
      const pusher = await pushTo(busy, 'a', { size: 2_000, mode })
      const acknowledged = pusher.acknowledged()
      const copy = join(folder, `backup-${mode}`, 'copy.db')
      const { code, stdout, stderr } = await runAlone(busy, ['backup', copy])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('checked; schema')
      // The server goes on.
      const before = pusher.acknowledged()
      await until(() => pusher.acknowledged() > before)
      await pusher.end()
      const log = query<{ v: number }>(copy, 'SELECT server_version AS v FROM change_log ORDER BY 1')
      expect(log.map(({ v }) => v)).toEqual(log.map((_, index) => index + 1))
      expect(log.length).toBeGreaterThanOrEqual(acknowledged)
      expect(log.length % 20).toBe(0)
      expect(brokenRules(copy)).toEqual({})
      expect(existsSync(`${copy}-wal`)).toBe(false)
    },
  )

  it('restores a backup, at whose next start all devices pull anew', async () => {
    const file = fresh('restored')
    copyFileSync(database, file)
    const copy = join(folder, 'restored', 'copy.db')
    expect(await runAlone(file, ['backup', copy])).toMatchObject({ code: 0, stderr: '' })
    expect(await runAlone(file, ['restore', copy])).toMatchObject({ code: 0 })
    const provider = await openInBun({ OR3_SQLITE_DB_PATH: file })
    const changes = await pulled(provider, workspaceId)
    expect(changes.at(0)!.serverVersion).toBeGreaterThan(2 ** 32)
    await provider.close()
    expect(await runAlone(file, ['check'])).toMatchObject({ code: 0 })
  })

  it('collects garbage, and gives its pages back', async () => {
    const file = fresh('collected')
    copyFileSync(database, file)
    const gc = await runAlone(file, ['gc', '--retention', '1 second', '--workspace', workspaceId])
    expect(gc).toMatchObject({ code: 0 })
    expect(gc.stdout).toContain('1 workspace: removed')
    expect(await runAlone(file, ['vacuum'])).toMatchObject({ code: 0 })
    expect(brokenRules(file)).toEqual({})
  })

  it('finds damage, and takes no backup of it', async () => {
    const file = fresh('damaged')
    copyFileSync(database, file)
    damageIndex(file)
    expect((await runAlone(file, ['check'])).code).toBe(1)
    const copy = join(folder, 'damaged', 'copy.db')
    const { code, stderr } = await runAlone(file, ['backup', copy])
    expect(code).toBe(1)
    expect(stderr).toMatch(/damaged|malformed/)
    expect(existsSync(copy)).toBe(false)
    const text = join(folder, 'damaged', 'text.db')
    writeFileSync(text, readFileSync(file).subarray(100))
    expect((await runAlone(text, ['status'])).stderr).toContain('is not an SQLite database')
  })

  it("is refused Node's engine, and Node's is refused Bun's", async () => {
    const asked = (driver: string, program?: string) =>
      runAlone(database, ['status'], { OR3_SQLITE_DRIVER: driver }, program)
    expect(fact(await asked('better-sqlite3'))).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'or3-sqlite: OR3_SQLITE_DRIVER is "better-sqlite3", an addon of Node that Bun does not load: set it to bun, or unset it\n',
    })
    expect(await asked('bun')).toMatchObject({ code: 0, stderr: '' })
    expect(await asked('bun', process.execPath)).toMatchObject({ code: 2 })
  })
})
