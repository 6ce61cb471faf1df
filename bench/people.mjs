/**
 * Pages of all workspaces, as administrators see them, beside hand-written statements on a copy of the file.
 */
import { copyFileSync } from 'node:fs'
import { Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'

/** The same answers by two prepared statements. */
const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('cache_size = -65536')
  const statements = (where) => [
    database.prepare(
      `SELECT w.id, w.name, w.description, w.created_at, w.deleted, w.deleted_at, u.id AS owner_id, u.email AS owner_email,
         (SELECT count(*) FROM workspace_members AS m WHERE m.workspace_id = w.id) AS members
       FROM (SELECT id FROM workspaces WHERE deleted = 0 ${where} ORDER BY created_at, id LIMIT ? OFFSET ?) AS p
       JOIN workspaces AS w ON w.id = p.id
       LEFT JOIN users AS u ON u.id = (SELECT user_id FROM workspace_members AS o
         WHERE o.workspace_id = w.id AND o.role = 'owner' ORDER BY o.created_at, o.user_id LIMIT 1)
       ORDER BY w.created_at, w.id`,
    ),
    database.prepare(`SELECT count(*) AS total FROM workspaces WHERE deleted = 0 ${where}`),
  ]
  const all = statements('')
  const searched = statements('AND instr(lower(name), ?) > 0')
  const toItem = (row) => ({
    id: row.id,
    name: row.name,
    ...(row.description === null ? {} : { description: row.description }),
    createdAt: row.created_at,
    deleted: row.deleted === 1,
    ...(row.deleted_at === null ? {} : { deletedAt: row.deleted_at }),
    ...(row.owner_id === null ? {} : { ownerUserId: row.owner_id }),
    ...(row.owner_email === null ? {} : { ownerEmail: row.owner_email }),
    memberCount: row.members,
  })
  const page = database.transaction((query) => {
    const { search, page: number, perPage } = query
    const [items, total] = search === undefined ? all : searched
    const given = search === undefined ? [] : [search.toLowerCase()]
    return {
      items: items.all(...given, perPage, (number - 1) * perPage).map(toItem),
      total: total.get(...given).total,
    }
  })
  return { page, close: () => database.close() }
}

/** Each workspace has an owner and a member, and some share their second; one in ten is removed. */
const fill = (file, count) => {
  const database = new Sqlite(file)
  const user = database.prepare(`INSERT INTO users (id, email, created_at) VALUES (?, ?, 1)`)
  const workspace = database.prepare(
    `INSERT INTO workspaces (id, name, created_at, deleted, deleted_at) VALUES (?, ?, ?, ?, ?)`,
  )
  const member = database.prepare(`INSERT INTO workspace_members VALUES (?, ?, ?, ?)`)
  database.transaction(() => {
    const idOf = (n) => `${((n * 7_919) % count).toString(16).padStart(12, '0')}-0000-4000-8000-000000000000`
    for (let n = 0; n < count; n++) {
      const [id, at] = [idOf(n), 1_700_000_000 + Math.floor(n / 3)]
      const isGone = n % 10 === 9
      user.run(id, `user${n}@example.org`)
      workspace.run(id, `Workspace ${n} of Team ${n % 97}`, at, isGone ? 1 : 0, isGone ? at : null)
      member.run(id, id, 'owner', at)
      if (n > 0) member.run(id, idOf(n - 1), 'editor', at)
    }
  })()
  database.close()
}

export const openPeople = async (file, quick) => {
  const count = quick ? 10_000 : 100_000
  const env = { OR3_SQLITE_DB_PATH: file }
  await openProvider({ env }).close()
  fill(file, count)
  const copy = `${file}-copy`
  copyFileSync(file, copy)
  const provider = openProvider({ env })
  const access = provider.adminStores.createWorkspaceAccessStore()
  const floor = openFloor(copy)
  const last = quick ? 50 : 500
  const listed = (what, query, rounds) => ({
    name: `people: ${what} of ${count.toLocaleString('en')} workspaces`,
    target: 1.5,
    rounds,
    input: () => query,
    ours: (_both, given) => access.listWorkspaces(given),
    floor: (_both, given) => floor.page(given),
  })
  const workloads = [
    listed('page 1', { page: 1, perPage: 100 }, 100),
    listed(`page ${last}`, { page: last, perPage: 100 }, 100),
    listed('page 1 of a search', { page: 1, perPage: 100, search: 'Team 5' }, 40),
    listed(`page ${last / 50} of a search`, { page: last / 50, perPage: 100, search: 'Team 5' }, 40),
    listed(`page ${last} of a search that finds most`, { page: last, perPage: 100, search: 'team' }, 40),
  ]
  // Else there would be nothing to measure.
  for (const { name, input } of workloads) {
    const [mine, byHand] = [await access.listWorkspaces(input()), floor.page(input())]
    if (mine.items.length !== 100 || JSON.stringify(mine) !== JSON.stringify(byHand)) {
      throw new Error(`the floor answers otherwise than the package: ${name}`)
    }
  }
  return {
    workloads,
    close: async () => {
      floor.close()
      await provider.close()
    },
  }
}
