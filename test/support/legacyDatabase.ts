/**
 * Databases as the earlier, Kysely-based package left them, made by plain SQL from its documented schema.
 *
 * Shape 3 is that of version 0.0.1. Shape 17 is that of the last ones: more columns, and tables of other features.
 */
import Sqlite from 'better-sqlite3'
import { syncedTables } from '../../migrations/legacy/common.js'

export type Shape = 3 | 17

const migrationNames = [
  ...['001_init', '002_sync_tables', '003_unique_tombstones', '004_sync_hardening', '005_auth_invites'],
  ...Array.from({ length: 12 }, (_, index) => `${String(index + 6).padStart(3, '0')}_later`),
]

const people = `
  create table "users" ("id" text primary key, "email" text, "display_name" text, "active_workspace_id" text,
    "created_at" integer not null);
  create table "auth_accounts" ("id" text primary key, "user_id" text not null references "users" ("id") on delete cascade,
    "provider" text not null, "provider_user_id" text not null, "created_at" integer not null);
  create unique index "auth_accounts_provider" on "auth_accounts" ("provider", "provider_user_id");
  create table "workspaces" ("id" text primary key, "name" text not null, "description" text,
    "owner_user_id" text not null, "created_at" integer not null, "deleted" integer default 0 not null, "deleted_at" integer);
  create table "workspace_members" ("id" text primary key, "workspace_id" text not null, "user_id" text not null,
    "role" text not null, "created_at" integer not null);
  create unique index "workspace_members_by_user" on "workspace_members" ("workspace_id", "user_id");`

const sync = (extended: boolean) => `
  create table "server_version_counter" ("workspace_id" text primary key, "value" integer default 0 not null);
  create table "change_log" ("id" text primary key, "workspace_id" text not null, "server_version" integer not null,
    "table_name" text not null, "pk" text not null, "op" text not null, "payload_json" text, "clock" integer not null,
    "hlc" text not null, "device_id" text not null, "op_id" text not null, "created_at" integer not null);
  create index "change_log_by_version" on "change_log" ("workspace_id", "server_version");
  create unique index "change_log_op_id" on "change_log" ("op_id");
  create table "device_cursors" ("id" text primary key, "workspace_id" text not null, "device_id" text not null,
    "last_seen_version" integer default 0 not null, "updated_at" integer not null ${extended ? ', "owner_user_id" text' : ''});
  create unique index "device_cursors_device" on "device_cursors" ("workspace_id", "device_id");
  create table "tombstones" ("id" text primary key, "workspace_id" text not null, "table_name" text not null,
    "pk" text not null, "deleted_at" integer not null, "clock" integer not null, "server_version" integer not null,
    "created_at" integer not null
    ${extended ? `, "hlc" text default '' not null, "op_id" text default '' not null` : ''});
  create unique index "tombstones_pk" on "tombstones" ("workspace_id", "table_name", "pk");
  ${syncedTables
    .map(
      (table) => `
  create table "s_${table}" ("workspace_id" text not null, "id" text not null, "data_json" text, "clock" integer not null,
    "hlc" text not null, "device_id" text not null, "deleted" integer default 0 not null, "created_at" integer not null,
    "updated_at" integer not null ${extended ? `, "op_id" text default '' not null` : ''},
    constraint "s_${table}_pk" primary key ("workspace_id", "id"));
  create index "s_${table}_workspace" on "s_${table}" ("workspace_id");`,
    )
    .join('')}`

/** Tables of other features, some of which refer to ours. */
const foreign = `
  create table "auth_invites" ("id" text primary key,
    "workspace_id" text not null references "workspaces" ("id") on delete cascade, "email" text not null,
    "invited_by" text references "users" ("id") on delete set null, "token_hash" text not null);
  create unique index "auth_invites_token" on "auth_invites" ("token_hash");
  create table "admin_users" ("user_id" text primary key references "users" ("id") on delete cascade, "granted_at" integer);
  create table "admin_workspace_settings" ("workspace_id" text primary key references "workspaces", "settings_json" text);
  create table "sync_snapshots" ("id" text primary key, "workspace_id" text not null, "server_version" integer not null);
  create table "sync_snapshot_items" ("snapshot_id" text not null references "sync_snapshots" ("id"), "position" integer,
    "payload_json" text, primary key ("snapshot_id", "position"));
  create table "rate_limits" ("key" text primary key, "hits" integer not null) without rowid;
  create table "background_jobs" ("id" text primary key, "payload" blob, "score" real);
  create table "webhook_deliveries" ("id" integer primary key autoincrement, "url" text);
  create table "connect_links" ("id" text primary key, "user_id" text references "users" ("id"));
  create view "connect_names" as select "c"."id", "u"."display_name" from "connect_links" as "c"
    join "users" as "u" on "u"."id" = "c"."user_id";
  create trigger "webhook_trim" after insert on "webhook_deliveries" begin
    delete from "webhook_deliveries" where "id" < new."id" - 1000; end;
  insert into "rate_limits" values ('login:1', 3);
  insert into "background_jobs" values ('job', x'00ff10', 1.5);
  insert into "webhook_deliveries" ("url") values ('https://example.org/hook');
  insert into "sync_snapshots" values ('snapshot', 'w1', 3);
  insert into "sync_snapshot_items" values ('snapshot', 0, '{"a":1}');`

export const foreignTables = [
  ...['kysely_migration', 'kysely_migration_lock', 'auth_invites', 'admin_users', 'admin_workspace_settings'],
  ...['sync_snapshots', 'sync_snapshot_items', 'rate_limits', 'background_jobs', 'webhook_deliveries'],
  'connect_links',
]

type Value = string | number | bigint | Buffer | null
type Columns = Readonly<Record<string, Value>>

const bytesOf = (character: string): Buffer => {
  if (character.isWellFormed()) return Buffer.from(character)
  const code = character.charCodeAt(0)
  return Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)])
}

/** A value, and its place in a statement. Half a character is three bytes that are no UTF-8, which the driver of Node 24 does not write. */
const asStored = (value: Value): readonly [Value, string] =>
  typeof value !== 'string' || value.isWellFormed()
    ? [value, '?']
    : [Buffer.concat(Array.from(value, bytesOf)), 'cast(? as text)']

export interface LegacyEntry {
  readonly version: number
  readonly table?: string
  readonly pk: string
  readonly op?: 'put' | 'delete'
  readonly payload?: unknown
  readonly clock?: number
  readonly hlc?: string
  readonly device?: string
  readonly id?: string
  readonly at?: number
  readonly workspace?: string
}

export interface LegacyRow {
  readonly table?: string
  readonly pk: string
  readonly payload?: unknown
  readonly clock?: number
  readonly hlc?: string
  readonly device?: string
  /** Shape 17 only. */
  readonly id?: string
  readonly deleted?: boolean
  readonly at?: number
  readonly workspace?: string
}

/** A second in the life of these databases. */
export const legacyTime = 1_700_000_000

export class LegacyDatabase {
  readonly sqlite: Sqlite.Database
  private ids = 0

  constructor(
    path: string,
    readonly shape: Shape,
  ) {
    this.sqlite = new Sqlite(path)
    // As its package opened it.
    this.sqlite.pragma('journal_mode = WAL')
    this.sqlite.pragma('synchronous = OFF')
    this.sqlite.pragma('foreign_keys = OFF')
    this.sqlite.exec(`
      create table "kysely_migration" ("name" varchar(255) not null primary key, "timestamp" varchar(255) not null);
      create table "kysely_migration_lock" ("id" varchar(255) not null primary key, "is_locked" integer default 0 not null);
      insert into "kysely_migration_lock" values ('migration_lock', 0);
      ${people} ${sync(shape === 17)} ${shape === 17 ? foreign : ''}`)
    for (const name of migrationNames.slice(0, shape)) {
      this.insert('kysely_migration', { name, timestamp: '2026-01-01T00:00:00.000Z' })
    }
  }

  insert(table: string, columns: Columns) {
    const names = Object.keys(columns)
    const values = Object.values(columns).map(asStored)
    const text = `insert into "${table}" (${names.map((name) => `"${name}"`).join(', ')})
      values (${values.map(([, place]) => place).join(', ')})`
    this.sqlite.prepare(text).run(...values.map(([value]) => value))
  }

  private id() {
    return `00000000-0000-4000-8000-${String(++this.ids).padStart(12, '0')}`
  }

  user(id: string, columns: Columns = {}) {
    this.insert('users', {
      id,
      email: `${id}@example.org`,
      display_name: id,
      created_at: legacyTime,
      ...columns,
    })
    this.account(id)
  }

  account(userId: string, columns: Columns = {}) {
    this.insert('auth_accounts', {
      id: this.id(),
      user_id: userId,
      provider: 'basic-auth',
      provider_user_id: `${userId}@basic`,
      created_at: legacyTime,
      ...columns,
    })
  }

  workspace(id: string, owner: string, columns: Columns = {}) {
    this.insert('workspaces', { id, name: id, owner_user_id: owner, created_at: legacyTime, ...columns })
  }

  member(workspace_id: string, user_id: string, role: string, created_at = legacyTime) {
    this.insert('workspace_members', { id: this.id(), workspace_id, user_id, role, created_at })
  }

  counter(value: number, workspace_id = 'w1') {
    this.insert('server_version_counter', { workspace_id, value })
  }

  entry(entry: LegacyEntry, columns: Columns = {}) {
    const {
      version,
      table = 'messages',
      pk,
      op = 'put',
      payload,
      clock = 1,
      hlc = 'a',
      device = 'd1',
    } = entry
    this.insert('change_log', {
      id: this.id(),
      workspace_id: entry.workspace ?? 'w1',
      server_version: version,
      table_name: table,
      pk,
      op,
      payload_json: payload === undefined ? null : JSON.stringify(payload),
      clock,
      hlc,
      device_id: device,
      op_id: entry.id ?? this.id(),
      created_at: entry.at ?? legacyTime + version,
      ...columns,
    })
  }

  row(row: LegacyRow, columns: Columns = {}) {
    const { table = 'messages', pk, payload, clock = 1, hlc = 'a', device = 'd1', at = legacyTime } = row
    this.insert(`s_${table}`, {
      workspace_id: row.workspace ?? 'w1',
      id: pk,
      data_json: payload === undefined ? null : JSON.stringify(payload),
      clock,
      hlc,
      device_id: device,
      deleted: row.deleted === true ? 1 : 0,
      created_at: at,
      updated_at: at,
      ...(this.shape === 17 ? { op_id: row.id ?? '' } : {}),
      ...columns,
    })
  }

  tombstone(
    {
      pk,
      version,
      table = 'messages',
      clock = 1,
      at = legacyTime,
      hlc = '',
      id = '',
      workspace = 'w1',
    }: {
      readonly pk: string
      readonly version: number
      readonly table?: string
      readonly clock?: number
      readonly at?: number
      /** Shape 17 only. */
      readonly hlc?: string
      readonly id?: string
      readonly workspace?: string
    },
    columns: Columns = {},
  ) {
    this.insert('tombstones', {
      id: this.id(),
      workspace_id: workspace,
      table_name: table,
      pk,
      deleted_at: at,
      clock,
      server_version: version,
      created_at: at,
      ...(this.shape === 17 ? { hlc, op_id: id } : {}),
      ...columns,
    })
  }

  cursor(device_id: string, last_seen_version: number, columns: Columns = {}) {
    this.insert('device_cursors', {
      id: this.id(),
      workspace_id: 'w1',
      device_id,
      last_seen_version,
      updated_at: legacyTime,
      ...columns,
    })
  }

  close() {
    this.sqlite.close()
  }
}
