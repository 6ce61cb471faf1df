/**
 * `export` and `import`: what comes out goes in again, whole and with its revisions; what is no export goes nowhere.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { syncedTables } from '../../src/services/index.js'
import { makeCommand, makeWorkspace } from '../support/command.js'
import { del, put, scope, opId } from '../support/ops.js'
import { subjectOnFile } from '../support/layerSubjects.js'
import type { Subject } from '../support/subjectType.js'

const { folder, run, feed, start, pushTo } = makeCommand()

const fresh = (name: string) => {
  mkdirSync(join(folder, name))
  return join(folder, name, 'or3.db')
}

const opened = async <A>(database: string, body: (subject: Subject) => Promise<A>): Promise<A> => {
  const subject = await subjectOnFile(database)
  try {
    return await body(subject)
  } finally {
    await subject.close()
  }
}

/** Live rows without what the server gives. */
const liveRows = async (subject: Subject, workspaceId: string) => {
  const { rows } = await subject.view(workspaceId)
  return rows
    .filter(({ deleted }) => !deleted)
    .map(({ version: _version, ...row }) => row)
    .sort((a, b) => (`${a.table}/${a.pk}` < `${b.table}/${b.pk}` ? -1 : 1))
}

/** Values that a careless copy would change. */
const odd = JSON.parse(`{
  "id": "odd", "text": "é\\u2028\\u0000 \\"quoted\\" \\\\ \\n \\t 🙂", "lone": "\\ud800", "__proto__": { "x": 1 }, "constructor": null,
  "numbers": [0, -0.5, 1e300, 1e-7, 9007199254740991, 0.1], "empty": [{}, [], "", null, true], "10": "ten", "2": "two"
}`) as object

const fill = (database: string, workspaceId: string, rows = 30) =>
  opened(database, async (subject) => {
    const own = scope(workspaceId)
    const ops = Array.from({ length: rows }, (_, n) =>
      put({
        id: `r${n}`,
        pk: `m${n}`,
        clock: n % 7,
        device: `d${n % 3}`,
        payload: { n, workspace_id: workspaceId },
      }),
    )
    for (let at = 0; at < rows; at += 1_000) await subject.push({ ...own, ops: ops.slice(at, at + 1_000) })
    await subject.push({
      ...own,
      ops: [
        put({ id: 'odd', table: 'kv', pk: 'odd', payload: odd }),
        put({ id: 'hash', table: 'file_meta', pk: 'h' }),
        put({ id: 'note', table: 'notifications', pk: 'n', payload: { id: 'n', user_id: 'eve' } }),
        del({ id: 'gone', pk: 'm3', clock: 9, payload: { left: true } }),
      ],
    })
    return liveRows(subject, workspaceId)
  })

describe('an export', () => {
  it('takes every synced table along', async () => {
    const [from, to] = [fresh('every-from'), fresh('every-to')]
    const id = await makeWorkspace(from)
    const rows = await opened(from, async (subject) => {
      await subject.push({ ...scope(id), ops: syncedTables.map((table) => put({ table, pk: 'x' })) })
      return liveRows(subject, id)
    })
    expect(rows.map(({ table }) => table)).toEqual([...syncedTables].sort())
    const file = join(folder, 'every-from', 'export.ndjson')
    expect((await run(from, ['export', '--workspace', id, '--out', file])).code).toBe(0)
    const target = await makeWorkspace(to)
    expect((await run(to, ['import', '--workspace', target, file])).code).toBe(0)
    expect(await opened(to, (subject) => liveRows(subject, target))).toEqual(rows)
    expect((await run(to, ['check'])).code).toBe(0)
  })

  it('goes into another database with every record, revision and value, and a second time changes nothing', async () => {
    const from = fresh('from')
    const id = await makeWorkspace(from)
    const rows = await fill(from, id)
    const file = join(folder, 'from', 'export.ndjson')
    const out = await run(from, ['export', '--workspace', id, '--out', file])
    expect(out).toMatchObject({ code: 0, stderr: '', stdout: `${file}: 32 records of workspace ${id}\n` })
    const lines = readFileSync(file, 'utf8').split('\n')
    expect(JSON.parse(lines[0]!)).toEqual({
      format: 'or3-sqlite-workspace',
      version: 1,
      workspace: { id, name: 'My Workspace' },
      rows: 32,
    })
    expect(lines).toHaveLength(34)
    const piped = await run(from, ['export', '--workspace', id])
    expect(piped.stdout).toBe(readFileSync(file, 'utf8'))

    const to = fresh('to')
    const target = await makeWorkspace(to)
    const first = await run(to, ['import', '--workspace', target, file])
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toBe(
      `32 records into workspace ${target}: 32 applied, 0 known already, 0 not newer than what is there\n`,
    )
    const second = await feed(to, ['import', '--workspace', target, '-'], piped.stdout)
    expect(second.stdout).toContain(': 0 applied, 32 known already, 0 not newer')
    await opened(to, async (subject) => {
      // A payload that names its workspace names the new one.
      const moved = rows.map((row) =>
        row.table === 'messages'
          ? { ...row, payload: { ...(row.payload as object), workspace_id: target } }
          : row,
      )
      const imported = await liveRows(subject, target)
      expect(imported).toEqual(moved)
      expect(JSON.stringify(imported.find(({ pk }) => pk === 'odd')!.payload)).toBe(JSON.stringify(odd))
      expect((await subject.view(target)).version).toBe(32)
    })
    expect((await run(to, ['check'])).code).toBe(0)
  })

  it('back into its own workspace brings back what was lost, and nothing that is newer', async () => {
    const database = fresh('back')
    const id = await makeWorkspace(database)
    await fill(database, id)
    const file = join(folder, 'back', 'export.ndjson')
    await run(database, ['export', '--workspace', id, '--out', file])
    await opened(database, (subject) =>
      subject.push({
        ...scope(id),
        ops: [put({ id: 'newer', pk: 'm5', clock: 99, payload: { new: true } })],
      }),
    )
    expect((await run(database, ['import', file])).stdout).toContain(': 0 applied, 32 known already')
    await opened(database, async (subject) => {
      const { rows } = await subject.view(id)
      expect(rows.find(({ pk }) => pk === 'm5')).toMatchObject({ payload: { new: true } })
    })
    // On a database that has other, older and newer revisions of its own.
    const other = fresh('other')
    await opened(other, (subject) =>
      subject.push({
        ...scope(id),
        ops: [
          put({ id: 'x1', pk: 'm5', clock: 99, payload: {} }),
          put({ id: 'x2', pk: 'm6', clock: 0, payload: {} }),
        ],
      }),
    )
    expect((await run(other, ['import', file])).stdout).toContain(
      ': 31 applied, 0 known already, 1 not newer',
    )
  })

  it(
    'of a large workspace streams both ways, and is one snapshot while others push',
    { timeout: 120_000 },
    async () => {
      const from = fresh('large')
      await fill(from, 'w1', 5_000)
      const pusher = await pushTo(from, 'p')
      const file = join(folder, 'large', 'export.ndjson')
      const out = await run(from, ['export', '--workspace', 'w1', '--out', file])
      await pusher.end()
      expect(out.code).toBe(0)
      const to = fresh('large-to')
      await makeWorkspace(to)
      const into = await run(to, ['import', '--new', file])
      expect(into).toMatchObject({ code: 0, stderr: '' })
      const { rows } = JSON.parse(readFileSync(file, 'utf8').split('\n')[0]!) as { rows: number }
      expect(into.stdout).toContain(
        `${rows.toLocaleString('en')} records into workspace w1: ${rows.toLocaleString('en')} applied`,
      )
    },
  )

  it('that its reader does not want any more ends in one line', async () => {
    const database = join(folder, 'large', 'or3.db')
    const { child, ended } = start(database, ['export', '--workspace', 'w1'])
    child.stdout.once('data', () => child.stdout.destroy())
    const { code, errors } = await ended
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
  })

  it('replaces no file, knows its workspaces, and leaves nothing half-written', async () => {
    const database = fresh('refused')
    const id = await makeWorkspace(database)
    const file = join(folder, 'refused', 'export.ndjson')
    writeFileSync(file, 'precious')
    expect((await run(database, ['export', '--workspace', id, '--out', file])).code).toBe(2)
    expect(readFileSync(file, 'utf8')).toBe('precious')
    const unknown = await run(database, ['export', '--workspace', 'nope', '--out', `${file}.2`])
    expect(unknown.code).toBe(2)
    expect(unknown.errors).toEqual([expect.stringContaining('there is no workspace nope')])
    for (const path of [database, `${database}-seen`]) {
      const before = readFileSync(path)
      expect((await run(database, ['export', '--workspace', id, '--out', path, '--force'])).code).toBe(2)
      expect((await run(database, ['import', path])).code).toBe(2)
      expect(readFileSync(path).equals(before)).toBe(true)
    }
    expect((await run(database, ['export', '--workspace', id, '--out', file, '--force'])).code).toBe(0)
    expect(readdirSync(join(folder, 'refused')).sort()).toEqual(['export.ndjson', 'or3.db', 'or3.db-seen'])
  })
})

describe('an import', () => {
  const header = (rows: number, more: object = {}) =>
    JSON.stringify({
      format: 'or3-sqlite-workspace',
      version: 1,
      workspace: { id: 'w1', name: null },
      rows,
      ...more,
    })
  const record = (n: number, more: object = {}) =>
    JSON.stringify({
      table: 'messages',
      pk: `m${n}`,
      stamp: { deviceId: 'd', opId: opId(`op${n}`), hlc: 'h', clock: 1 },
      payload: { n },
      ...more,
    })
  const records = (count: number) => Array.from({ length: count }, (_, n) => record(n))

  const refusals: ReadonlyArray<
    readonly [what: string, input: string | Uint8Array, line: number, rows: number]
  > = [
    ['nothing', '', 1, 0],
    ['rubbish', 'rubbish', 1, 0],
    ['another format', JSON.stringify({ format: 'csv' }), 1, 0],
    ['a newer format', header(0, { version: 2 }), 1, 0],
    ['a header without workspace', header(0, { workspace: null }), 1, 0],
    ['a line that is no JSON', [header(3), record(0), '{', record(2)].join('\n'), 3, 0],
    ['a line that is no object', [header(2), record(0), '[]'].join('\n'), 3, 0],
    ['an empty line', [header(2), record(0), '', record(1)].join('\n'), 3, 0],
    ['an unknown table', [header(1), record(0, { table: 'users' })].join('\n'), 2, 0],
    ['no stamp', [header(1), record(0, { stamp: null })].join('\n'), 2, 0],
    ['no payload', [header(1), record(0, { payload: null })].join('\n'), 2, 0],
    [
      'bytes that are no text',
      Buffer.concat([Buffer.from(`${header(1)}\n"`), Buffer.from([0xff, 0x22])]),
      2,
      0,
    ],
    ['a line that never ends', `${header(1)}\n${'x'.repeat(5_000_000)}`, 2, 0],
    ['an export that was cut off', [header(3), ...records(2), ''].join('\n'), 4, 2],
    ['more than the header says', [header(1), ...records(2)].join('\n'), 3, 0],
    // The first thousand are a batch that is in.
    [
      'a bad line in the second batch',
      [header(1_500), ...records(1_200), '{', record(9_999)].join('\n'),
      1_202,
      1_000,
    ],
  ]

  it.each(refusals)('refuses %s with the number of the line', async (what, input, line, rows) => {
    const database = fresh(what)
    await makeWorkspace(database)
    const { code, stdout, errors } = await feed(database, ['import', '--new', '-'], input)
    expect({ code, stdout, count: errors.length }).toEqual({ code: 1, stdout: '', count: 1 })
    expect(errors[0]).toMatch(new RegExp(`^or3-sqlite: standard input, line ${line}: `))
    await opened(database, async (subject) => expect((await subject.view('w1')).rows).toHaveLength(rows))
  })

  it('needs a workspace that somebody can see, or to be told otherwise', async () => {
    const database = fresh('unknown')
    await makeWorkspace(database)
    const input = [header(1), record(0)].join('\n')
    const { code, errors } = await feed(database, ['import', '-'], input)
    expect({ code, count: errors.length }).toEqual({ code: 2, count: 1 })
    expect(errors[0]).toContain('there is no workspace w1')
    const made = await feed(database, ['import', '--new', '-'], input)
    expect(made.code).toBe(0)
    expect(made.stdout).toContain('nobody is a member of it: no user of a host can see it')
    const again = await feed(database, ['import', '-'], input)
    expect({ code: again.code, again: again.stdout.includes('nobody') }).toEqual({ code: 0, again: false })
    expect((await run(database, ['import', join(folder, 'none.ndjson')])).code).toBe(2)
  })

  it('leaves out the records that no push could bring, says which, and takes the rest', async () => {
    const database = fresh('left-out')
    await makeWorkspace(database)
    const input = [
      header(5),
      record(0),
      record(1, { payload: { _id: 'x' } }),
      record(2, { payload: { id: 'other' } }),
      record(3, { payload: { text: 'x'.repeat(300_000) } }),
      record(4),
    ].join('\n')
    const { code, stdout, errors } = await feed(database, ['import', '--new', '-'], input)
    expect(stdout).toContain('2 records into workspace w1: 2 applied')
    expect(code).toBe(1)
    expect(errors.map((line) => /line \d+: left out|3 records left out/.exec(line)?.[0])).toEqual([
      'line 3: left out',
      'line 4: left out',
      'line 5: left out',
      '3 records left out',
    ])
  })

  it('that fails ends while its producer goes on', async () => {
    const database = fresh('endless')
    await makeWorkspace(database)
    const { child, ended } = start(database, ['import', '--new', '-'])
    child.stdin.on('error', () => {})
    child.stdin.write([header(3), record(0), '{', ''].join('\n'))
    expect((await ended).code).toBe(1)
  })

  it('tells of an op id that is taken by other content, and takes the rest', async () => {
    const database = fresh('conflict')
    await makeWorkspace(database)
    await feed(database, ['import', '--new', '-'], [header(1), record(0)].join('\n'))
    const changed = record(0, { payload: { other: true } })
    const { code, stdout, errors } = await feed(
      database,
      ['import', '-'],
      [header(2), changed, record(1)].join('\n'),
    )
    expect(stdout).toContain(': 1 applied, 0 known already')
    expect({ code, count: errors.length }).toEqual({ code: 1, count: 1 })
    expect(errors[0]).toContain('line 2: the op id is taken by other content (1 such record left out)')
  })
})
