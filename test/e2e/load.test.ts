/**
 * The load tool on the built host: a few devices for a few seconds, and no server but this machine's own.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { root, run } from '../support/run.js'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-load-'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const load = (...args: ReadonlyArray<string>) =>
  run('node', [join(root, 'bench/load.mjs'), '--svg', join(folder, 'load.svg'), ...args])

describe('npm run load', () => {
  it('syncs some devices, and prints and draws what it measured', async () => {
    const { output } = await builtHost('later')
    const json = join(folder, 'load.json')
    const few = ['--devices', '6', '--seconds', '3', '--warm-up', '1', '--records', '20']
    const said = await load('--output', output, '--json', json, ...few)

    expect(said).toMatch(/^6 devices in 2 workspaces: [1-9]\d* requests a second$/m)
    expect(said).not.toMatch(/FAILED|CUT SHORT/)
    const { results } = JSON.parse(readFileSync(json, 'utf8')) as {
      results: [
        {
          kinds: { poll: { count: number; p99: number } }
          server: { rss: number }
          sizes: { entries: number }
        },
      ]
    }
    const [{ kinds, server, sizes }] = results
    // Three seconds are at least one poll of each, less those that a busy machine sends too late.
    expect(kinds.poll.count).toBeGreaterThan(2)
    expect(kinds.poll.p99).toBeGreaterThan(0)
    expect(server.rss).toBeGreaterThan(2 ** 20)
    expect(sizes.entries).toBeGreaterThanOrEqual(40)
    expect(readFileSync(join(folder, 'load.svg'), 'utf8')).toMatch(/^<svg [^]*<path [^]*<\/svg>\n$/)
  })

  it('refuses an address of others before anything is started', async () => {
    await expect(load('--output', folder, '--address', '192.0.2.1')).rejects.toThrow(
      '192.0.2.1 is no loopback address',
    )
  })
})
