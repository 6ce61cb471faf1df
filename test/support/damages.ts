/**
 * What can be wrong with a database, for each rule that `check` has: done to a copy of the one that `fill` makes.
 */
import { damageIndex } from './command.js'
import type { Harm } from './filledDatabase.js'
import { opId } from './ops.js'

const id = '(SELECT workspace_id FROM server_version_counter LIMIT 1)'

/** By the rule that tells: what is done, and how. */
export const damages: Readonly<Record<string, Readonly<Record<string, Harm>>>> = {
  'the file is sound': {
    'an index page overwritten': damageIndex,
  },
  'the schema is what the migrations made': {
    'an index dropped': 'DROP INDEX change_log_by_table; UPDATE users SET id = id',
    'the index of references dropped': 'DROP INDEX file_references_by_source; UPDATE users SET id = id',
  },
  'foreign keys lead to a row': {
    'a member who is no user': `INSERT INTO workspace_members VALUES (${id}, 'nobody', 'viewer', 0)`,
  },
  'a counter holds a high watermark, a floor below it and whole epochs of versions and clocks': {
    'a floor above the watermark': 'UPDATE server_version_counter SET trimmed_version = value + 1',
    'a clock base within an epoch': 'UPDATE server_version_counter SET clock_base = 7',
    'an offset within an epoch': 'UPDATE server_version_counter SET version_offset = 7',
    'clocks that rise further than the base of those that devices send':
      'UPDATE server_version_counter SET clock_offset = clock_base + 4294967296',
  },
  'what is synced belongs to a workspace with a counter': {
    'a row of a workspace without counter': `INSERT INTO s_kv VALUES ('ghost', 'k', '{}', 1, 'h', 'o', 'd', 1, 0, 0, 0)`,
  },
  'the log is without gap from above the floor up to the high watermark': {
    'an entry missing within the log': `DROP TRIGGER change_log_keeps_what_pulls_need; DELETE FROM change_log WHERE op_id = '${opId('new3')}'`,
    'a watermark above the log': 'UPDATE server_version_counter SET value = value + 1',
    'an entry above the watermark': 'UPDATE server_version_counter SET value = value - 1',
  },
  'the log below the floor is gone, unless the workspace leapt': {
    'an entry below the floor': 'UPDATE server_version_counter SET trimmed_version = trimmed_version + 1',
  },
  'a log entry is a valid op, and a put has a payload': {
    'a payload in the log that is no JSON': `UPDATE change_log SET payload_json = '{' WHERE op_id = '${opId('k')}'`,
    'a put without payload': `UPDATE change_log SET payload_json = NULL WHERE op_id = '${opId('loser')}'`,
    'an entry of an unknown table': `UPDATE change_log SET table_name = 'users' WHERE op_id = '${opId('loser')}'`,
    'a stamp that compares unlike here and there': `UPDATE change_log SET hlc = 'é' WHERE op_id = '${opId('loser')}'`,
  },
  'no log entry is greater than the revision of its row': {
    'a row of a lesser revision than its log': `UPDATE s_messages SET clock = 0 WHERE pk = 'new3'`,
    'a row missing': `DELETE FROM s_messages WHERE pk = 'new3'`,
  },
  'a row above the floor is what its log entry says': {
    'a row of the loser': `UPDATE s_messages SET data_json = '{"another":1}' WHERE pk = 'new4'`,
    'a row of a revision that nobody pushed': `UPDATE s_messages SET clock = 9 WHERE pk = 'new3'`,
  },
  'a row has a version of its own, up to the high watermark': {
    'a row above the watermark': `UPDATE s_kv SET server_version = 1000`,
    'two rows of one version': `UPDATE s_kv SET server_version = (SELECT server_version FROM s_messages WHERE pk = 'old4')`,
  },
  'a row has a valid revision, and a live one a payload': {
    'a live row without payload': `UPDATE s_messages SET data_json = NULL WHERE pk = 'old3'`,
    'a row of an invalid revision': `UPDATE s_messages SET op_id = '' WHERE pk = 'old3'`,
  },
  'a tombstone has a deleted row of the same revision': {
    'a tombstone of another revision': `UPDATE tombstones SET clock = clock + 1 WHERE pk = 'new2'`,
    'a tombstone of a live row': `UPDATE tombstones SET pk = 'new3' WHERE pk = 'new2'`,
    'a deleted row that came back with its tombstone': `UPDATE s_messages SET deleted = 0, data_json = '{}' WHERE pk = 'new2'`,
  },
  'a deleted row without a tombstone has no payload left': {
    'a tombstone lost': `DELETE FROM tombstones WHERE pk = 'new1'`,
    'a payload left behind': `UPDATE s_messages SET data_json = '{}' WHERE pk = 'old1'`,
  },
  'a notification belongs to the user its payload names': {
    'a notification of another user': `UPDATE s_notifications SET user_id = 'eve'`,
  },
  'a trimmed op lies below the floor and is not in the log': {
    'a trimmed op that is in the log': `UPDATE trimmed_ops SET op_id = '${opId('new3')}' WHERE op_id = '${opId('old3')}'`,
    'a trimmed op above the floor': `UPDATE trimmed_ops SET server_version = 12 WHERE op_id = '${opId('old3')}'`,
  },
  'an adopted op that was renamed has a UUID of its own, and had none': {
    'a renamed op without a UUID': `INSERT INTO renamed_ops VALUES ('w1', 'old', 'messages', 'm1', 'new')`,
    'two renamed ops with one UUID': `INSERT INTO renamed_ops SELECT 'w1', value, 'messages', value, '0000000a-0000-8000-8000-000000000000'
       FROM json_each('["a","b"]')`,
  },
  'a device cursor is of a valid device, at a version, and of a user if anybody': {
    'a cursor that is no version': `UPDATE device_cursors SET last_seen_version = 'nine'`,
    'a cursor of nobody': `UPDATE device_cursors SET device_id = ''`,
    'a device of a user without name': `UPDATE device_cursors SET owner_user_id = ''`,
  },
  'a live workspace with members has an owner': {
    'a workspace without owner': `UPDATE workspace_members SET role = 'editor'`,
  },
  "a user's active workspace is a live membership": {
    'an active workspace without membership': `INSERT INTO workspaces (id, name, created_at) VALUES ('w2', 'Two', 0); UPDATE users SET active_workspace_id = 'w2'`,
  },
  'a purged workspace is empty, and nothing but a mark': {
    'a purged workspace with all it had': `UPDATE workspaces SET purged_at = 1, emptied_at = 1, deleted = 1, name = '' WHERE id = ${id}`,
    'a purge that was interrupted': `INSERT INTO workspaces (id, name, created_at, deleted, purged_at) VALUES ('w2', '', 0, 1, 1)`,
    'a purged workspace with a name': `INSERT INTO workspaces (id, name, created_at, deleted, purged_at, emptied_at) VALUES ('w2', 'Two', 0, 1, 1, 1)`,
    'an invite into a purged workspace': `INSERT INTO workspaces (id, name, created_at, deleted, purged_at, emptied_at) VALUES ('w2', '', 0, 1, 1, 1);
      INSERT INTO workspace_invites (id, workspace_id, email, role, status, invited_by_user_id, expires_at, token_hash, created_at, updated_at)
      VALUES ('i', 'w2', 'a@b.c', 'viewer', 'revoked', 'u', 0, 'h', 0, 0)`,
  },
  'an erased user is a mark, whom nothing belongs to': {
    'an erased user with all they had': `UPDATE users SET erased_at = 1, emptied_at = 1`,
    'an erasure that was interrupted': `INSERT INTO users (id, created_at, erased_at) VALUES ('u2', 0, 1)`,
    'an erased user with a name': `INSERT INTO users (id, display_name, created_at, erased_at, emptied_at) VALUES ('u2', 'Two', 0, 1, 1)`,
    'an identity of an erased user': `INSERT INTO users (id, created_at, erased_at, emptied_at) VALUES ('u2', 0, 1, 1);
      INSERT INTO auth_accounts VALUES ('p', 'x', 'u2', 0)`,
    'a cursor of an erased user': `INSERT INTO users (id, created_at, erased_at, emptied_at) VALUES ('u2', 0, 1, 1);
      UPDATE device_cursors SET owner_user_id = 'u2'`,
  },
  'every file that a live record names is known to be referred to': {
    'a reference lost': `DELETE FROM file_references WHERE source_table = 'posts' AND hash = 'b'`,
    'a message that came to name a file behind our back': `UPDATE s_messages SET data_json = '{"file\\u005fhashes":["x"]}' WHERE pk = 'new2'; UPDATE s_messages SET deleted = 0 WHERE pk = 'new2'`,
  },
  'no file is thought to be referred to that no live record names': {
    'a reference of a record that names no file': `UPDATE file_references SET source_id = 'new3' WHERE source_table = 'posts' AND hash = 'b'`,
    'a reference of a deleted record': `UPDATE s_posts SET deleted = 1`,
  },
  'a file is known by what its row says': {
    'a file unknown': `DELETE FROM file_records WHERE pk = 'b'`,
    'a file without row': `DELETE FROM s_file_meta WHERE pk = 'gone'`,
    'a file of another hash': `UPDATE file_records SET hash = 'z'`,
    'a file of another size': `UPDATE file_records SET size_bytes = 8 WHERE size_bytes = 7`,
    'a deleted file that is thought to live': `UPDATE file_records SET deleted = 0`,
  },
  'the bytes a workspace uses are those of its files': {
    'bytes used by no file': `UPDATE file_usage SET used_bytes = 8`,
    'bytes forgotten': `DELETE FROM file_usage`,
  },
  'an upload intent is of a file, and has a place only when it is settled': {
    'an intent for a hash that nobody finds': `UPDATE upload_reservations SET hash = 'A'`,
    'an active intent that was consumed': `UPDATE upload_reservations SET settled_at = NULL WHERE id = 'consumed'`,
  },
}

/** What is done, how, and the rule that tells. */
export const eachDamage = Object.entries(damages).flatMap(([rule, harms]) =>
  Object.entries(harms).map(([what, harm]) => [what, harm, rule] as const),
)
