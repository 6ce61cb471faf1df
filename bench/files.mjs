/**
 * What is known about files, and room for uploads, beside hand-written statements on a copy of the file; and what the index of files
 * costs a push: the gateway against itself without the index.
 */
import { randomUUID } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'
import { FileIndex } from '../dist/src/layers/synchronous/fileIndex.js'
import { batch } from './workloads.mjs'

const mimeType = 'image/png'
const quota = 1e12

/** The same answers by prepared statements. */
const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('synchronous = NORMAL')
  database.pragma('foreign_keys = ON')
  database.pragma('cache_size = -65536')
  const referring = database.prepare(
    `SELECT source_table, source_id FROM file_references WHERE workspace_id = ? AND hash = ?
     ORDER BY source_table, source_id LIMIT ?`,
  )
  const used = database.prepare(`SELECT used_bytes AS bytes FROM file_usage WHERE workspace_id = ?`)
  const stored = database.prepare(
    `SELECT 1 FROM file_records WHERE workspace_id = ? AND hash = ? AND deleted = 0`,
  )
  const known = database.prepare(`SELECT 1 FROM upload_reservations WHERE workspace_id = ? AND id = ?`)
  const reserved = database.prepare(
    `SELECT hash, size_bytes AS bytes FROM upload_reservations
     WHERE workspace_id = ? AND expires_at > ? AND settled_at IS NULL`,
  )
  const forget = database.prepare(`DELETE FROM upload_reservations WHERE workspace_id = ? AND expires_at < ?`)
  const insert = database.prepare(
    `INSERT INTO upload_reservations (workspace_id, id, hash, mime_type, size_bytes, expires_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const reserve = database.transaction((workspaceId, id, hash, bytes, expiresAt) => {
    const now = Math.floor(Date.now() / 1_000)
    if (known.get(workspaceId, id) !== undefined) throw new Error('taken')
    const held = new Map()
    for (const row of reserved.all(workspaceId, now)) {
      if (stored.get(workspaceId, row.hash) === undefined)
        held.set(row.hash, Math.max(row.bytes, held.get(row.hash) ?? 0))
    }
    const isStored = stored.get(workspaceId, hash) !== undefined
    const total = [...held.values()].reduce((sum, size) => sum + size, used.get(workspaceId)?.bytes ?? 0)
    if (!isStored && total + bytes > quota) throw new Error('full')
    forget.run(workspaceId, now - 86_400)
    insert.run(workspaceId, id, hash, mimeType, bytes, expiresAt, now)
  })
  return {
    references: (workspaceId, hash) =>
      referring.all(workspaceId, hash, 101).map((row) => ({
        kind: 'reference',
        hash,
        sourceTable: row.source_table,
        sourceId: row.source_id,
      })),
    reserve: (...args) => reserve.immediate(...args),
    close: () => database.close(),
  }
}

/** A message that names files. */
const naming = (hashes) => {
  const [op] = batch(1)
  return { ...op, payload: { ...op.payload, file_hashes: JSON.stringify(hashes) } }
}

const stored = (workspaceId, n) => {
  const [op] = batch(1, { table: 'file_meta' })
  const pk = `sha256:${workspaceId}-${n}`
  return { ...op, pk, payload: { ...op.payload, hash: pk, size_bytes: 1_000 } }
}

export const openFiles = async (file, quick) => {
  let provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  let { syncGateway } = provider
  const push = (workspaceId, ops) => syncGateway.push({}, { scope: { workspaceId }, ops })
  const [few, many, files] = quick ? [1_000, 10_000, 2_000] : [1_000, 100_000, 10_000]
  const fill = async (workspaceId, count, op) => {
    for (let at = 0; at < count; at += 1_000) {
      await push(
        workspaceId,
        Array.from({ length: Math.min(1_000, count - at) }, (_, index) => op(at + index)),
      )
    }
  }
  // Every hash is named by five messages, wherever.
  const message = (count) => (n) => (n % 4 === 0 ? naming([`sha256:H${n % (count / 5)}`]) : batch(1)[0])
  await fill('few', few, message(few))
  await fill('many', many, message(many))
  for (const [workspaceId, count] of [
    ['files-few', 100],
    ['files-many', files],
  ]) {
    await fill(workspaceId, count, (n) => stored(workspaceId, n))
  }
  await provider.close()
  const copy = `${file}-copy`
  copyFileSync(file, copy)
  provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  syncGateway = provider.syncGateway
  const floor = openFloor(copy)
  const others = [file, copy].map((path) => new Sqlite(path))

  const hashIn = (count) => `h${4 * Math.floor((Math.random() * count) / 20)}`
  const ask = (workspaceId, hash) =>
    syncGateway.queryCanonicalStorage({}, { scope: { workspaceId }, kind: 'reference_edges', hash })
  const reserve = (workspaceId, id) =>
    syncGateway.reserveUploadIntent(
      {},
      {
        workspaceId,
        intentId: id,
        hash: id,
        mimeType,
        sizeBytes: 1_000,
        expiresAt: Math.floor(Date.now() / 1_000) + 900,
        workspaceQuotaBytes: quota,
      },
    )
  const reserveByHand = (workspaceId, id) =>
    floor.reserve(workspaceId, id, id, 1_000, Math.floor(Date.now() / 1_000) + 900)
  const fresh = async () => {
    for (const other of others) other.exec('DELETE FROM upload_reservations')
    // Each notices now that another connection has written, which costs it its cache, and not while it is timed.
    for (const workspaceId of ['files-few', 'files-many']) {
      await ask(workspaceId, 'none')
      floor.references(workspaceId, 'none')
    }
    return randomUUID()
  }
  const { follow, settle } = FileIndex.prototype
  const withoutIndex = async (ops) => {
    FileIndex.prototype.follow = FileIndex.prototype.settle = () => {}
    try {
      await push('unindexed', ops)
    } finally {
      Object.assign(FileIndex.prototype, { follow, settle })
    }
  }
  const twoWithFiles = () => [...batch(98), naming([randomUUID(), randomUUID()]), naming([randomUUID()])]
  const pushed = (name, target, input, rounds) => ({
    name,
    target,
    rounds,
    input,
    ours: (_both, ops) => push('indexed', ops),
    floor: (_both, ops) => withoutIndex(ops),
  })
  const name = (count) => count.toLocaleString('en')
  const workloads = [
    pushed('files: push of 100, two with files, with the index against without', 1.05, twoWithFiles, 400),
    pushed(
      'files: push of 100, none with files, with the index against without',
      1.05,
      () => batch(100),
      300,
    ),
    {
      name: `files: who refers to this hash, ${name(many)} messages`,
      target: 2,
      rounds: 3_000,
      input: () => hashIn(many),
      ours: (_both, hash) => ask('many', hash),
      floor: (_both, hash) => floor.references('many', hash),
    },
    {
      name: `files: who refers to this hash, ${name(many)} messages (ours) against ${name(few)} (floor)`,
      target: 1.2,
      rounds: 3_000,
      input: () => [hashIn(many), hashIn(few)],
      ours: (_both, [hash]) => ask('many', hash),
      floor: (_both, [, hash]) => ask('few', hash),
    },
    {
      name: `files: reserve an intent, ${name(files)} files`,
      target: 3,
      rounds: 1_500,
      input: fresh,
      ours: (_both, id) => reserve('files-many', id),
      floor: (_both, id) => reserveByHand('files-many', `${id}-by-hand`),
    },
    {
      name: `files: reserve an intent, ${name(files)} files (ours) against 100 (floor)`,
      target: 1.2,
      rounds: 1_500,
      input: fresh,
      ours: (_both, id) => reserve('files-many', id),
      floor: (_both, id) => reserve('files-few', id),
    },
  ]
  // Else there would be nothing to measure.
  const asked = `h${4 * Math.floor(many / 40)}`
  const [{ items }, byHand] = [await ask('many', asked), floor.references('many', asked)]
  if (items.length !== 5 || JSON.stringify(items) !== JSON.stringify(byHand)) {
    throw new Error('the floor answers otherwise than the package')
  }
  return {
    workloads,
    close: async () => {
      for (const database of [floor, ...others]) database.close()
      await provider.close()
    },
  }
}
