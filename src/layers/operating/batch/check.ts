/**
 * The rules of `invariants.ts` on an engine over a network: a read each, which sees one state, though not the same for all rules.
 */
import { Effect, Option } from 'effect'
import type { StorageError } from '../../../services/StorageError.js'
import type { Batches } from '../../sql/Batches.js'
import {
  foreignKeyRule,
  invariants,
  judge,
  type OnRule,
  type Rule,
  schemaFaults,
  shown,
  soundRule,
  type Verdict,
} from '../invariants.js'
import { ask, readAll } from '../../sql/look.js'
import { expectedObjects, type SchemaObjects, schemaObjects } from '../schemaState.js'
import { findInFileIndex } from './fileIndex.js'

type Read = Batches['Type']['read']

/** Of a column, or after all of them, where Turso's engine puts them when a table gets one more column. */
const withReferencesLast = (sql: string): string => {
  let keys = ''
  const rest = sql.replace(/(\w+)( TEXT[A-Z ]*) REFERENCES (\w+\(\w+\))/g, (_, column, type, parent) => {
    keys += `,FOREIGN KEY(${column})REFERENCES ${parent}`
    return `${column}${type}`
  })
  return keys === '' ? sql : rest.replace(/\)$/, `${keys})`)
}

/** Engines store what they were told in words of their own. Tables without a rowid are not everywhere. */
const inPlainWords = (sql: string): string =>
  withReferencesLast(
    sql
      .replace(/\bWITHOUT ROWID\b/, '')
      .replaceAll('"', '')
      .replace(/\s+/g, ' ')
      .replace(/ ?([(),;]) ?/g, '$1')
      .replaceAll('PRIMARY KEY NOT NULL', 'NOT NULL PRIMARY KEY')
      .trim(),
  )

const plain = (objects: Iterable<readonly [name: string, sql: string]>): SchemaObjects =>
  new Map([...objects].map(([name, sql]) => [name, inPlainWords(sql)]))

/** A column, and the table whose `id` it holds. */
export const foreignKeys = [
  ['users', 'active_workspace_id', 'workspaces'],
  ['auth_accounts', 'user_id', 'users'],
  ['workspace_members', 'workspace_id', 'workspaces'],
  ['workspace_members', 'user_id', 'users'],
  ['workspace_invites', 'workspace_id', 'workspaces'],
  ['workspace_settings', 'workspace_id', 'workspaces'],
  ['deployment_admins', 'user_id', 'users'],
] as const

/** Not every engine has the pragma for it, nor holds them by itself. */
const orphans = foreignKeys
  .map(
    ([table, column, parent]) => `
      SELECT '${table}' AS "table", c.rowid AS "row", '${parent}' AS parent FROM ${table} AS c
      WHERE c.${column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${parent} AS p WHERE p.id = c.${column})`,
  )
  .join(' UNION ALL ')

const rows = (read: Read, sql: string) => Effect.map(readAll(read, 'check', [ask(sql)]), ([found]) => found!)

const limited = (sql: string) => `${sql} LIMIT ${shown + 1}`

/** A service may keep the state of its files to itself. */
const findUnsound = (read: Read): Rule[1] =>
  rows(read, `PRAGMA integrity_check(${shown + 1})`).pipe(
    Effect.map((found) =>
      found.filter((row) => row.integrity_check !== 'ok').map((row) => ({ problem: row.integrity_check })),
    ),
    Effect.catchIf(
      ({ reason }) => reason === 'other',
      () => Effect.succeed(undefined),
    ),
  )

/** The client hands over no number that JavaScript would round. */
const orVast = (find: Rule[1]): Rule[1] =>
  Effect.catchSomeDefect(find, (defect) =>
    defect instanceof RangeError
      ? Option.some(Effect.succeed([{ problem: 'a number beyond all that is counted' }]))
      : Option.none(),
  )

/** As `findFaults` of a file. */
export const findFaultsOver = (read: Read, onRule: OnRule): Effect.Effect<Verdict, StorageError> =>
  Effect.gen(function* () {
    const expected = plain(yield* expectedObjects)
    const present = plain((yield* rows(read, schemaObjects)).map(({ name, sql }) => [name, sql]))
    const own: Readonly<Record<string, Rule[1]>> = {
      [soundRule]: findUnsound(read),
      [foreignKeyRule]: rows(read, limited(orphans)),
      ...findInFileIndex(read, present),
    }
    return yield* judge(
      Effect.sync(() => schemaFaults(expected, present)),
      invariants.map(([rule, sql]) => [rule, orVast(own[rule] ?? rows(read, limited(sql)))]),
      onRule,
    )
  })
