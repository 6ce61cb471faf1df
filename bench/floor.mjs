/**
 * The floor: what hand-written code reaches on SQLite's driver with the same tables, settings and guarantees.
 *
 * Statements are prepared once, each batch is one immediate transaction, each payload is serialised once. There is no
 * validation, no promise and no service: whatever the package costs above this is its own.
 */
import { randomUUID } from 'node:crypto'
import { Sqlite } from './sqlite.mjs'
import { syncedTables } from '../dist/src/services/index.js'

const prepareAll = (text, database) =>
  Object.fromEntries(syncedTables.map((table) => [table, database.prepare(text(table))]))

/** Opens a file that the package has migrated, with the package's own pragmas. */
export const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = NORMAL')
  database.pragma('foreign_keys = ON')
  database.pragma('temp_store = MEMORY')
  database.pragma('cache_size = -65536')
  database.pragma('wal_autocheckpoint = 4000')
  const prepare = (text) => database.prepare(text)

  const known = prepare(
    `SELECT server_version, table_name, pk, op, payload_json, clock, hlc, device_id FROM change_log
     WHERE workspace_id = ? AND op_id = ?`,
  )
  const trimmed = prepare(`SELECT server_version FROM trimmed_ops WHERE workspace_id = ? AND op_id = ?`)
  const allocate = prepare(
    `INSERT INTO server_version_counter (workspace_id, value) VALUES (?, ?)
     ON CONFLICT (workspace_id) DO UPDATE SET value = value + excluded.value RETURNING value`,
  )
  const highWatermark = prepare(`SELECT value FROM server_version_counter WHERE workspace_id = ?`)
  const log = prepare(
    `INSERT INTO change_log (workspace_id, server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const upsert = prepareAll(
    (table) => `
      INSERT INTO s_${table} (workspace_id, pk, data_json, clock, hlc, op_id, device_id, server_version, deleted, created_at, updated_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (workspace_id, pk) DO UPDATE SET data_json = excluded.data_json, clock = excluded.clock, hlc = excluded.hlc,
        op_id = excluded.op_id, device_id = excluded.device_id, server_version = excluded.server_version,
        deleted = excluded.deleted, updated_at = excluded.updated_at
      WHERE (excluded.clock, excluded.hlc, excluded.op_id) > (s_${table}.clock, s_${table}.hlc, s_${table}.op_id)`,
    database,
  )
  const winner = prepareAll(
    (table) => `SELECT data_json FROM s_${table} WHERE workspace_id = ? AND pk = ?`,
    database,
  )
  const bury = prepare(
    `INSERT INTO tombstones (workspace_id, table_name, pk, clock, hlc, op_id, server_version, deleted_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (workspace_id, table_name, pk) DO UPDATE SET clock = excluded.clock, hlc = excluded.hlc,
       op_id = excluded.op_id, server_version = excluded.server_version, deleted_at = excluded.deleted_at`,
  )

  const hasTombstones = prepare(`SELECT 1 FROM tombstones WHERE workspace_id = ? LIMIT 1`)
  const revive = prepare(`DELETE FROM tombstones WHERE workspace_id = ? AND table_name = ? AND pk = ?`)

  const push = database.transaction((workspaceId, ops, now) => {
    const fresh = []
    const results = []
    for (const op of ops) {
      const { stamp } = op
      const payload = op.payload === undefined ? null : JSON.stringify(op.payload)
      const holder = known.get(workspaceId, stamp.opId) ?? trimmed.get(workspaceId, stamp.opId)
      if (holder !== undefined) {
        const same =
          holder.payload_json === payload &&
          holder.pk === op.pk &&
          holder.table_name === op.tableName &&
          holder.op === op.operation &&
          holder.clock === stamp.clock &&
          holder.hlc === stamp.hlc &&
          holder.device_id === stamp.deviceId
        results.push(
          same
            ? { opId: stamp.opId, success: true, serverVersion: holder.server_version }
            : { opId: stamp.opId, success: false, errorCode: 'CONFLICT' },
        )
      } else {
        const result = { opId: stamp.opId, success: true, serverVersion: 0, applied: false }
        results.push(result)
        fresh.push([op, payload, result])
      }
    }
    if (fresh.length === 0) return { results, serverVersion: highWatermark.get(workspaceId)?.value ?? 0 }
    const { value } = allocate.get(workspaceId, fresh.length)
    let version = value - fresh.length
    let buried = hasTombstones.get(workspaceId) !== undefined
    for (const [op, payload, result] of fresh) {
      const { clock, hlc, deviceId, opId } = op.stamp
      const deleted = op.operation === 'delete' ? 1 : 0
      result.serverVersion = ++version
      log.run(
        workspaceId,
        version,
        op.tableName,
        op.pk,
        op.operation,
        payload,
        clock,
        hlc,
        deviceId,
        opId,
        now,
      )
      result.applied =
        upsert[op.tableName].run(
          workspaceId,
          op.pk,
          payload,
          clock,
          hlc,
          opId,
          deviceId,
          version,
          deleted,
          now,
          now,
        ).changes === 1
      if (!result.applied) {
        const row = winner[op.tableName].get(workspaceId, op.pk)
        if (row.data_json !== null) result.payload = JSON.parse(row.data_json)
      } else if (deleted) {
        bury.run(workspaceId, op.tableName, op.pk, clock, hlc, opId, version, now)
        buried = true
      } else if (buried) revive.run(workspaceId, op.tableName, op.pk)
    }
    return { results, serverVersion: value }
  })

  const page = prepare(
    `SELECT server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id FROM change_log
     WHERE workspace_id = ? AND server_version > ? ORDER BY server_version LIMIT ?`,
  )
  const pageOfTable = prepare(
    `SELECT server_version, table_name, pk, op, payload_json, clock, hlc, device_id, op_id FROM change_log
     WHERE workspace_id = ? AND table_name = ? AND server_version > ? ORDER BY server_version LIMIT ?`,
  )
  const pageOfRows = prepare(
    `${syncedTables
      .map(
        (table) =>
          `SELECT server_version, '${table}' AS table_name, pk, iif(deleted, 'delete', 'put') AS op, data_json AS payload_json,
             clock, hlc, device_id, op_id
           FROM s_${table} WHERE workspace_id = :workspaceId AND server_version > :cursor`,
      )
      .join(' UNION ALL ')} ORDER BY server_version LIMIT :wanted`,
  )

  const toPage = (rows, limit, cursor, workspaceId) => {
    const hasMore = rows.length > limit
    if (hasMore) rows.pop()
    const changes = rows.map((row) => ({
      serverVersion: row.server_version,
      tableName: row.table_name,
      pk: row.pk,
      op: row.op,
      ...(row.payload_json === null ? {} : { payload: JSON.parse(row.payload_json) }),
      stamp: { deviceId: row.device_id, opId: row.op_id, hlc: row.hlc, clock: row.clock },
    }))
    const nextCursor = hasMore
      ? changes[limit - 1].serverVersion
      : Math.max(cursor, highWatermark.get(workspaceId)?.value ?? 0)
    return { changes, nextCursor, hasMore }
  }

  const records = prepareAll(
    (table) => `
      SELECT pk, data_json, clock, hlc, op_id, deleted, updated_at FROM s_${table}
      WHERE workspace_id = ? AND pk > ? ORDER BY pk LIMIT ?`,
    database,
  )
  const inOrder = [...syncedTables].sort()

  /** Trusts the payloads, counts no bytes, and takes the order of bytes for that of strings. */
  const snapshot = database.transaction((workspaceId, pageSize, token) => {
    const chain = token ? JSON.parse(Buffer.from(token, 'base64url').toString()) : undefined
    const { snapshotId, watermark, table, pk } = chain ?? {
      snapshotId: randomUUID(),
      watermark: highWatermark.get(workspaceId)?.value ?? 0,
      table: inOrder[0],
      pk: '',
    }
    const items = []
    let after = pk
    for (const tableName of inOrder.slice(inOrder.indexOf(table))) {
      for (const row of records[tableName].all(workspaceId, after, pageSize + 1 - items.length)) {
        const revision = { clock: row.clock, hlc: row.hlc, opId: row.op_id }
        items.push(
          row.deleted
            ? { kind: 'tombstone', tableName, pk: row.pk, revision, serverDeletedAt: row.updated_at }
            : { kind: 'row', tableName, pk: row.pk, payload: JSON.parse(row.data_json), revision },
        )
      }
      if (items.length > pageSize) break
      after = ''
    }
    const page = { workspaceId, snapshotId, highWatermark: watermark, items, nextPageToken: null }
    if (items.length > pageSize) {
      items.pop()
      const last = items.at(-1)
      const next = { workspaceId, snapshotId, watermark, table: last.tableName, pk: last.pk }
      page.nextPageToken = Buffer.from(JSON.stringify(next)).toString('base64url')
    }
    return page
  })

  const reportCursor = prepare(
    `INSERT INTO device_cursors (workspace_id, device_id, last_seen_version, updated_at) VALUES (?, ?, ?, ?)
     ON CONFLICT (workspace_id, device_id) DO UPDATE SET
       last_seen_version = max(last_seen_version, excluded.last_seen_version), updated_at = excluded.updated_at`,
  )
  const account = prepare(
    `SELECT users.id, users.email, users.display_name FROM auth_accounts JOIN users ON users.id = auth_accounts.user_id
     WHERE auth_accounts.provider = ? AND auth_accounts.provider_user_id = ?`,
  )
  const active = prepare(
    `SELECT w.id, w.name FROM users AS u JOIN workspaces AS w ON w.id = u.active_workspace_id AND w.deleted = 0
     JOIN workspace_members AS m ON m.workspace_id = w.id AND m.user_id = u.id WHERE u.id = ?`,
  )
  const role = prepare(
    `SELECT m.role FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
     WHERE m.workspace_id = ? AND m.user_id = ?`,
  )
  const list = prepare(
    `SELECT w.id, w.name, w.description, w.created_at, m.role, w.id IS u.active_workspace_id AS is_active
     FROM workspace_members AS m JOIN workspaces AS w ON w.id = m.workspace_id AND w.deleted = 0
     JOIN users AS u ON u.id = m.user_id WHERE m.user_id = ? ORDER BY w.created_at, w.id`,
  )

  return {
    push: (workspaceId, ops) => push.immediate(workspaceId, ops, Math.floor(Date.now() / 1_000)),
    pull: (workspaceId, cursor, limit) =>
      toPage(page.all(workspaceId, cursor, limit + 1), limit, cursor, workspaceId),
    pullTable: (workspaceId, table, cursor, limit) =>
      toPage(pageOfTable.all(workspaceId, table, cursor, limit + 1), limit, cursor, workspaceId),
    pullRows: (workspaceId, cursor, limit) =>
      toPage(pageOfRows.all({ workspaceId, cursor, wanted: limit + 1 }), limit, cursor, workspaceId),
    snapshot: (workspaceId, pageSize, token) => snapshot(workspaceId, pageSize, token),
    updateCursor: (workspaceId, deviceId, version) =>
      reportCursor.run(workspaceId, deviceId, version, Math.floor(Date.now() / 1_000)),
    /** Of a user whose profile is still what the host says. */
    user: ({ provider, providerUserId, email, displayName }) => {
      const row = account.get(provider, providerUserId)
      if (row.email !== email || row.display_name !== displayName) throw new Error('the profile has changed')
      return { userId: row.id }
    },
    defaultWorkspace: (userId) => active.get(userId),
    role: (userId, workspaceId) => role.get(workspaceId, userId)?.role ?? null,
    list: (userId) => list.all(userId),
    close: () => database.close(),
  }
}
