/**
 * What payloads say about files: the one spelling of a hash, and that the migration which builds the index reads payloads just
 * as pushes do, whatever they hold and however their text is written.
 */
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'
import { hashOf, referredHashes, sizeOf } from '../../migrations/files/payloads.js'
import { fileFieldsOf, fileHashesOf, mayNameFiles, normalizeHash } from '../../src/services/fileRules.js'
import { makeLegacy, opened } from '../support/adoption.js'
import { downgrade } from '../support/earlierRelease.js'
import { scanned } from '../support/views.js'
import { fileHashes, filePayload, hash } from '../support/filePayloads.js'
import { del, put, scope } from '../support/ops.js'
import { cases, fc, patience } from '../support/property.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

/** The same payload as no `JSON.stringify` writes it. */
const escaped = (json: string) => json.replaceAll('file_hashes', String.raw`file\u005f\u0068ashes`)

describe('a hash', () => {
  it.each([
    ['abc', 'abc'],
    [' ABC\t\n', 'abc'],
    ['sha256:Abc', 'abc'],
    ['sha256: abc ', 'abc'],
    ['a:b:C', 'c'],
    ['abc:', ''],
    ['', ''],
    [' : ', ''],
    ['\ud800', '\ufffd'],
    ['É', 'é'],
  ])('%j is %j', (given, expected) => {
    expect(normalizeHash(given)).toBe(expected)
  })

  it('stays as it is once it is normalised', () => {
    fc.assert(
      fc.property(hash, (text) => {
        expect(normalizeHash(normalizeHash(text))).toBe(normalizeHash(text))
      }),
      cases(1_000),
    )
  })
})

describe('a payload', () => {
  it.each<readonly [string, ReadonlyArray<string>]>([
    ['{"file_hashes":["a"],"file_hashes":["b"]}', ['b']],
    [String.raw`{"file\u005fhashes":["a"]}`, ['a']],
    [String.raw`{"\u0066ile_hashes":"[\"a\"]"}`, ['a']],
    ['{"file_hashes":["a","A","sha256:a","b"]}', ['a', 'b']],
    ['["file_hashes"]', []],
    ['"file_hashes"', []],
    ['null', []],
    ['{"file_hashes":["a"]', []],
    ['{"of":{"file_hashes":["a"]}}', []],
    ['{"__proto__":{"file_hashes":["a"]}}', []],
  ])('%s names %j', (json, expected) => {
    expect(fileHashesOf(json)).toEqual(expected)
    expect(referredHashes(json)).toEqual(expected)
  })

  it('is looked at only if it may name files', () => {
    expect(mayNameFiles('{"text":"no files here","data":{"attachments":[]}}')).toBe(false)
    expect(mayNameFiles('{"file_hashes":null}')).toBe(true)
  })

  it('says the same to the migration as to a push', () => {
    const json = fc
      .oneof(
        filePayload,
        fc.record({ file_hashes: fileHashes }),
        fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
      )
      .map((value) => JSON.stringify(value))
    fc.assert(
      fc.property(json, fc.constantFrom('as it is', 'escaped', 'broken'), hash, (text, how, key) => {
        const payload = how === 'escaped' ? escaped(text) : how === 'broken' ? text.slice(0, -1) : text
        expect(referredHashes(payload)).toEqual(fileHashesOf(payload))
        expect(sizeOf(payload)).toBe(fileFieldsOf(payload).sizeBytes ?? null)
        expect(hashOf(key)).toBe(normalizeHash(key))
        if (how === 'escaped') expect(fileHashesOf(payload)).toEqual(fileHashesOf(text))
      }),
      cases(2_000),
    )
  })
})

describe('the migration', () => {
  it(
    'builds from the rows what pushes would have built',
    async () => {
      const record = fc.record({
        workspace: fc.constantFrom('w1', 'w2'),
        table: fc.constantFrom('messages', 'posts', 'file_meta', 'threads'),
        pk: fc.constantFrom('a', 'sha256:A', 'b', 'c'),
        payload: filePayload,
        deleted: fc.boolean(),
      })
      let files = 0
      await fc.assert(
        fc.asyncProperty(fc.array(record, { maxLength: 30, size: 'max' }), async (records) => {
          const path = join(folder, `rebuilt-${++files}.db`)
          const before = await opened(path, async (subject) => {
            for (const [index, { workspace, table, pk, payload, deleted }] of records.entries()) {
              const parts = { table, pk, clock: index + 1 }
              await subject.push({
                ...scope(workspace),
                ops: [deleted ? del(parts) : put({ ...parts, payload })],
              })
            }
            return [(await subject.view('w1')).files, (await subject.view('w2')).files]
          })
          await downgrade(path, 3)
          const after = await opened(path, async (subject) => [
            (await subject.view('w1')).files,
            (await subject.view('w2')).files,
          ])
          expect(after).toEqual(before)
        }),
        cases(25),
      )
    },
    patience(120_000),
  )

  it('reads more rows than it takes at once, and leaves the table of the earlier package alone', async () => {
    const path = join(folder, 'adopted.db')
    makeLegacy(path, 17, (legacy) => {
      legacy.user('ada')
      legacy.workspace('w1', 'ada')
      legacy.sqlite.exec(
        `create table "upload_intents" ("id" text primary key, "workspace_id" text, "status" text);
         insert into "upload_intents" values ('theirs', 'w1', 'active')`,
      )
      for (let n = 1; n <= 450; n++) {
        const payload = n % 3 === 0 ? { n } : { file_hashes: JSON.stringify([`SHA256:${n}`, 'Same', 5]) }
        legacy.row({ pk: `m${n}`, id: `op${n}`, payload })
      }
      legacy.row({
        table: 'file_meta',
        pk: 'SHA256:1',
        id: 'f1',
        payload: { hash: 'SHA256:1', size_bytes: 9 },
      })
      legacy.counter(500)
      const rewrite = legacy.sqlite.prepare(`update "s_messages" set "data_json" = ? where "id" = ?`)
      rewrite.run(String.raw`{"\u0066ile_hashes" : ["Escaped"]}`, 'm3')
      rewrite.run(String.raw`{"file_hashes" : ["twice"], "file_hashes" : ["nul\u0000nul", "\ud800"]}`, 'm6')
    })
    await opened(path, async (subject) => {
      const { rows, files } = await subject.view('w1')
      expect(files.index).toEqual(scanned(rows))
      expect(files.index.references).toHaveLength(603)
      expect(files.index.usedBytes).toBe(9)
      const query = { ...scope(), kind: 'reference_edges' } as const
      expect((await subject.files.query({ ...query, hash: 'same', limit: 1_000 })).items).toHaveLength(300)
      expect((await subject.files.query({ ...query, hash: '1' })).items).toMatchObject([{ sourceId: 'm1' }])
      await subject.files.reserve({
        ...scope(),
        ...{ intentId: 'ours', hash: 'x', mimeType: 'a/b', sizeBytes: 1, expiresAt: 1e10 },
      })
    })
    const database = new Sqlite(path, { readonly: true })
    expect(database.prepare('select * from "upload_intents"').all()).toEqual([
      { id: 'theirs', workspace_id: 'w1', status: 'active' },
    ])
    database.close()
  })
})
