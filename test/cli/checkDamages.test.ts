/**
 * `check` finds each rule that is broken, in a good database that was damaged.
 */
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { invariants } from '../../src/layers/operating/invariants.js'
import { makeCommand, newestMigration } from '../support/command.js'
import { damages, eachDamage } from '../support/damages.js'
import { damagedCopy, fill, type Harm } from '../support/filledDatabase.js'

const { folder, run } = makeCommand()

const good = join(folder, 'good.db')
beforeAll(() => fill(good))

const damaged = (name: string, harm: Harm) => damagedCopy(good, name, harm)

describe('a damaged database', () => {
  it('is known in every way there is a rule for', () => {
    expect(new Set(Object.keys(damages))).toEqual(
      new Set(['the schema is what the migrations made', ...invariants.map(([rule]) => rule)]),
    )
  })

  it.each(eachDamage)('%s', async (what, harm, rule) => {
    const { code, stdout, errors } = await run(damaged(what, harm), ['check'])
    expect(stdout.split('\n')).toContain(`broken: ${rule}`)
    expect(stdout).toMatch(/^ {2}\S/m)
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toContain(` of ${invariants.length + 1} rules broken; `)
  })

  it('says how many there are only as far as that is of use', async () => {
    const { stdout } = await run(damaged('many', `UPDATE s_messages SET hlc = ''`), ['check'])
    const lines = stdout.split('\n')
    const from = lines.indexOf('broken: a row has a valid revision, and a live one a payload')
    expect(lines.slice(from + 1, from + 5).map((line) => line.slice(0, 13))).toEqual([
      '  workspace_i',
      '  workspace_i',
      '  workspace_i',
      '  and more',
    ])
  })

  it('is asked for all it can tell, unless a table is missing', async () => {
    const other = damaged(
      'column',
      `ALTER TABLE users ADD COLUMN more; UPDATE server_version_counter SET value = value + 1`,
    )
    expect((await run(other, ['check'])).stdout.match(/^broken: .*$/gm)).toEqual([
      'broken: the schema is what the migrations made',
      'broken: the log is without gap from above the floor up to the high watermark',
    ])
    const missing = damaged('missing', `UPDATE users SET id = id; DROP TABLE tombstones`)
    expect((await run(missing, ['check'])).stdout.match(/^broken: .*$/gm)).toEqual([
      'broken: the schema is what the migrations made',
    ])
  })

  it('with a pending migration is told to migrate first', async () => {
    const path = damaged(
      'pending',
      `DELETE FROM effect_sql_migrations WHERE migration_id = ${Number.parseInt(newestMigration, 10)}`,
    )
    const { code, errors } = await run(path, ['check'])
    expect(code).toBe(1)
    expect(errors).toEqual([expect.stringContaining(`lacks ${newestMigration}: run \`or3-sqlite migrate\``)])
  })
})
