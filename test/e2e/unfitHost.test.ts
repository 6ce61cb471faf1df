/**
 * Issue 14, point 1: a host whose registry lacks its export fails its build, with one line; and so does a wrong setting of the module.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { buildHost, hostSources } from '../support/builtHost.js'

describe('a host that does not fit', () => {
  let folder: string

  beforeAll(async () => {
    folder = join(inject('workDir'), `unfit-${process.pid}`)
    await hostSources('later', folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** What a failed build said, without the banner that it begins with. */
  const failure = async (path: string, code: string) => {
    // A file of its own: the one that is there may be a link.
    rmSync(join(folder, path))
    writeFileSync(join(folder, path), code)
    const said = await buildHost(folder).then(
      () => 'built',
      (error: Error) => error.message,
    )
    const lines = said.replace(/\u001b\[\d+m/g, '').split('\n')
    // Nuxt's logger writes the level one way for people and another one for CI.
    const messages = lines.map((line) => line.trim().replace(/^(\[error\]|ERROR) +/, ''))
    return messages.filter((line) => line !== '' && !/^(npx|[┌│●])/.test(line))
  }

  it.each([
    ['server/auth/store/registry.ts', 'registerAuthWorkspaceStore'],
    ['server/utils/webhooks/runtime.ts', 'emitWebhookSystemHook'],
  ])('%s fails its build with one line', async (path, name) => {
    const file = join(folder, path)
    const said = await failure(path, 'export const somethingElse = () => {}')
    writeFileSync(file, `export const ${name} = () => {}`)
    expect(said).toEqual([
      `[or3-provider-sqlite] ${file} does not export ${name}: is this a release of OR3 Chat that we know?`,
    ])
  })

  it('fails its build for a health answer that is at no path', async () => {
    const config = readFileSync(join(folder, 'nuxt.config.ts'), 'utf8')
    const said = await failure('nuxt.config.ts', config.replace("'/api/health'", "'api/health'"))
    expect(said[0]).toContain('or3Sqlite.health has to be a path that begins with /, but is api/health')
  })
})
