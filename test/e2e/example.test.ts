/**
 * The example program, installed from the tarball outside this tree: it type-checks, its tests pass, and it does what its README
 * says, beside another process on the same file.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { installedExample } from '../support/builtHost.js'
import { cleanEnv, run } from '../support/run.js'

describe('examples/effect-tool', () => {
  let folder: string

  beforeAll(async () => {
    folder = await installedExample('effect-tool')
    await run('npm', ['run', 'build'], { cwd: folder })
  })

  it('type-checks, its tests included', () => run('npm', ['run', 'type-check'], { cwd: folder }))

  it('passes its own tests', async () => {
    expect(await run('npm', ['test'], { cwd: folder })).toMatch(/Tests .*5 passed/)
  })

  it('imports once what it is given twice, and archives what another process imports meanwhile', async () => {
    const data = mkdtempSync(join(folder, 'data-'))
    const env = { NOTES_DATABASE: join(data, 'or3-sync.db'), NOTES_WORKSPACE: 'w1' }
    const notes = (...ids: ReadonlyArray<string>) => {
      const file = join(data, `${ids[0]}.jsonl`)
      const lines = ids.map((id) => JSON.stringify({ id, revision: 1, title: id, text: 'Buy some' }))
      writeFileSync(file, lines.join('\n'))
      return file
    }
    const importing = async (file: string) =>
      JSON.parse(await run('node', ['dist/main.js', 'import', file], { cwd: folder, env })) as unknown
    const none = { imported: 0, outdated: 0, known: 0, refused: 0 }

    expect(await importing(notes('n1', 'n2'))).toEqual({ ...none, imported: 2 })
    expect(await importing(notes('n1', 'n2', 'n3'))).toEqual({ ...none, imported: 1, known: 2 })

    const archive = join(data, 'archive.jsonl')
    const lines = () => (existsSync(archive) ? readFileSync(archive, 'utf8').split('\n').filter(Boolean) : [])
    /** Follows until the archive has so many lines, and ends as Ctrl-C ends it. */
    const follow = async (count: number, meanwhile: () => Promise<unknown> = async () => {}) => {
      const child = spawn('node', ['dist/main.js', 'follow', archive], {
        cwd: folder,
        env: cleanEnv(env),
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
      try {
        await meanwhile()
        while (lines().length < count && child.exitCode === null) await sleep(50)
      } finally {
        child.kill('SIGINT')
      }
      return ended
    }
    expect(await follow(3)).toBe(0)
    expect(await follow(4, () => importing(notes('n4')))).toBe(0)
    const changes = lines().map((line) => JSON.parse(line) as { pk: string; serverVersion: number })
    expect(changes.map(({ pk, serverVersion }) => [pk, serverVersion])).toEqual([
      ['n1', 1],
      ['n2', 2],
      ['n3', 3],
      ['n4', 4],
    ])
  })

  it('says in one line what is wrong with its settings', async () => {
    const failure = await run('node', ['dist/main.js', 'import', 'none.jsonl'], { cwd: folder }).catch(String)
    expect(failure).toMatch(/^note-archive: .*NOTES_DATABASE.*NOTES_WORKSPACE.*$/m)
  })
})
