/**
 * How the statements about invites, administration and settings find their rows: by an index, or a page of workspaces by walking
 * one that holds all it needs.
 */
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { administrationSql } from '../../src/layers/sql/administrationSql.js'
import type { statement } from '../../src/layers/sql/batch.js'
import { eraseSql } from '../../src/layers/sql/eraseSql.js'
import { invitesSql } from '../../src/layers/sql/invitesSql.js'
import { purgeSql } from '../../src/layers/sql/purgeSql.js'
import { openSubject } from '../support/subjects.js'
import type { Subject } from '../support/subjectType.js'

type Statement = ReturnType<typeof statement>
type Group = { readonly [name: string]: Statement | Group }

const named = (name: string, value: Statement | Group): ReadonlyArray<readonly [string, string]> =>
  typeof value === 'function'
    ? [[name, value.sql]]
    : Object.entries(value).flatMap(([key, member]) => named(`${name}.${key}`, member))

const statements = [
  ...named('invitesSql', invitesSql as unknown as Group),
  ...named('administrationSql', administrationSql as unknown as Group),
  ...named('purgeSql', purgeSql as unknown as Group),
  ...named('eraseSql', eraseSql as unknown as Group),
]

/** What is read as a whole, and why. */
const scans: ReadonlyArray<readonly [name: RegExp, step: RegExp, why: string]> = [
  [
    /^administrationSql\.(page|total)\./,
    /^SCAN (workspaces USING COVERING INDEX \w+|p)$/,
    'counts and skips what is before the page',
  ],
  [/^administrationSql\.searchUsers$/, /^SCAN users$/, 'looks for text within addresses and names'],
  [/^purgeSql\.drop(Chunks|Documents|Jobs)$/, /^SCAN json_each/, 'a list that is given'],
  [/^purgeSql\.(drop|waiting)/, /^SCAN \(subquery-\d+\)$/, 'what an index has led to: some rows'],
  [
    /^eraseSql\.count\.invites$/,
    /^SCAN \(subquery-\d+\)$/,
    'what an index has led to: the invites of one user',
  ],
  [/^eraseSql\.(user|mark)$/, /^SCAN deployment_admins/, 'up to the first other one of the few there are'],
  [/^eraseSql\.dropCursors$/, /^SCAN json_each/, 'a list that is given'],
  [/^administrationSql\.admins$/, /^SCAN a( USING INDEX \w+)?$/, 'lists all of the few there are'],
]

describe('every statement', () => {
  let subject: Subject
  let database: Sqlite.Database
  beforeAll(async () => {
    subject = await openSubject('sqlite file')
    database = new Sqlite(subject.file!)
    // A new row that others refer to lets SQLite search these, but only while some refer to nothing; plans do not show that.
    database.pragma('foreign_keys = OFF')
  })
  afterAll(async () => {
    database.close()
    await subject.close()
  })

  const plan = (sql: string) =>
    database
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...Array.from({ length: sql.match(/\?/g)?.length ?? 0 }, () => 'x'))
      .map(({ detail }) => detail)

  it.each(statements)('%s goes by an index', (name, sql) => {
    const costly = plan(sql).filter(
      (step) =>
        (/^SCAN (?!CONSTANT ROW)/.test(step) || step.includes('AUTOMATIC')) &&
        !scans.some(([statement, expected]) => statement.test(name) && expected.test(step)),
    )
    expect(costly).toEqual([])
  })

  it('a page’s ids come in their order', () => {
    for (const { sql } of [administrationSql.page.all.live, administrationSql.page.searched.any]) {
      const sorts = plan(sql).filter((step) => step.includes('TEMP B-TREE'))
      // One of the page's owners each, and one of the page.
      expect(sorts).toHaveLength(2)
      expect(plan(sql)).toContain('SCAN workspaces USING COVERING INDEX workspaces_by_age')
    }
  })

  it('an invite is found by its token or its address in its workspace', () => {
    expect(plan(invitesSql.byToken.sql)).toContain(
      'SEARCH workspace_invites USING INDEX workspace_invites_by_token (workspace_id=? AND token_hash=?)',
    )
    expect(plan(invitesSql.byEmail.sql)).toContain(
      'SEARCH workspace_invites USING INDEX workspace_invites_by_email (email=? AND workspace_id=?)',
    )
    expect(plan(invitesSql.list.sql).filter((step) => step.includes('TEMP B-TREE'))).toEqual([])
  })
})
