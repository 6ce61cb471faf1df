/**
 * The tarball, as a program without Nuxt meets it: its files, its types, its entry points.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { packed, plainConsumer } from '../support/builtHost.js'
import { root, run } from '../support/run.js'

const compilerOf = (release: string) => join(root, `node_modules/${release}/bin/tsc`)

const sourceFiles = ['src', 'migrations'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts')),
)

describe('the packed package', () => {
  let consumer: string

  beforeAll(async () => {
    consumer = await plainConsumer()
  })

  it('holds what was built, README, the guide for operators, LICENSE and package.json, and nothing else', async () => {
    const modules = sourceFiles.filter((file) => !file.startsWith('src/cli/'))
    const built = modules.flatMap((file) => {
      const path = `dist/${file.slice(0, -'.ts'.length)}`
      return [`${path}.js`, `${path}.d.ts`]
    })
    const command = ['dist/src/cli/main.js', 'dist/src/cli/LICENSES.txt']
    expect([...(await packed()).files].sort()).toEqual(
      ['LICENSE', 'README.md', 'docs/operating.md', 'package.json', ...command, ...built].sort(),
    )
  })

  it('has the licences of what the command has in it', () => {
    const folder = join(consumer, 'node_modules/or3-provider-sqlite/dist/src/cli')
    const notices = readFileSync(join(folder, 'LICENSES.txt'), 'utf8')
    const modules = readFileSync(join(folder, 'main.js'), 'utf8').matchAll(
      /^ *\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm,
    )
    const names = new Set(Array.from(modules, ([, name]) => name!))
    expect(names).toContain('effect')
    for (const name of names)
      expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\S+ \\(\\S+\\)\\n\\n\\S`, 'm'))
  })

  const source = `
    import { Effect } from 'effect'
    import * as everything from 'or3-provider-sqlite'
    import { type AuthWorkspaceStore, openProvider, type SyncGatewayAdapter } from 'or3-provider-sqlite/adapters'
    import { layer, layerMemory } from 'or3-provider-sqlite/layers'
    import nuxtModule from 'or3-provider-sqlite/nuxt'
    import { SyncGateway, WorkspaceStore } from 'or3-provider-sqlite/services'

    const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: 'file.db' } })
    export const store: AuthWorkspaceStore = provider.workspaceStore
    export const gateway: SyncGatewayAdapter = provider.syncGateway
    export const role: Promise<'owner' | 'editor' | 'viewer' | null> = store.getWorkspaceRole({
      userId: 'u',
      workspaceId: 'w',
    })
    const program = Effect.gen(function* () {
      const { userId } = yield* (yield* WorkspaceStore).getOrCreateUser({ provider: 'p', providerUserId: 'u' })
      return { userId, page: yield* (yield* SyncGateway).pull({ scope: { workspaceId: userId }, cursor: 0 }) }
    })
    export const pages = [program.pipe(Effect.provide(layer)), program.pipe(Effect.provide(layerMemory))]
    export const moduleName: unknown = nuxtModule.getMeta?.()
    export const everythingElse: typeof SyncGateway = everything.SyncGateway
    // The types are there, not just any.
    // @ts-expect-error
    export const wrong: Promise<number> = store.getWorkspaceRole({ userId: 'u', workspaceId: 'w' })
    // @ts-expect-error
    gateway.push(undefined, { scope: {}, ops: [] })
  `

  // Both releases that users have, and both ways in which they resolve modules.
  it.each([
    { release: 'typescript', moduleResolution: 'bundler', module: 'esnext' },
    { release: 'typescript-7', moduleResolution: 'nodenext', module: 'nodenext' },
  ])('type-checks in $release with moduleResolution $moduleResolution, libraries included', async (given) => {
    const { release, ...options } = given
    const folder = join(consumer, options.moduleResolution)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'consumer.ts'), source)
    const compilerOptions = {
      ...options,
      target: 'es2022',
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: [],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }))
    const output = await run('node', [compilerOf(release), '-p', folder, '--pretty', 'false'], {
      cwd: consumer,
    }).catch(String)
    // Other packages' types have faults of their own. Continuation lines are indented.
    const errors = output.split('\n').filter((line) => /^\S.*error TS\d+/.test(line))
    expect(errors.filter((line) => !/^node_modules\/(?!or3-provider-sqlite\/)/.test(line))).toEqual([])
  })

  it('gives every entry point to plain Node', async () => {
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object }
    const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith('.json'))
    expect(entries).toContain('./nuxt')
    const script = entries
      .map((entry) => `console.log(Object.keys(await import('or3-provider-sqlite${entry.slice(1)}')).length)`)
      .join('\n')
    const counts = (await run('node', ['--input-type=module', '-e', script], { cwd: consumer }))
      .trim()
      .split('\n')
    expect(counts).toHaveLength(entries.length)
    for (const count of counts) expect(Number(count)).toBeGreaterThan(0)
  })

  it('opens a provider in a plain Node script', async () => {
    const script = `
      import { openProvider } from 'or3-provider-sqlite/adapters'
      const { workspaceStore, syncGateway, close } = openProvider()
      const { userId } = await workspaceStore.getOrCreateUser({ provider: 'script', providerUserId: 'ada' })
      const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
      const op = {
        id: '1', tableName: 'kv', operation: 'put', pk: 'k', payload: { id: 'k' },
        stamp: { deviceId: 'd', opId: 'o', hlc: 'h', clock: 1 },
      }
      const scope = { workspaceId }
      await syncGateway.push(undefined, { scope, ops: [op] })
      const { changes } = await syncGateway.pull(undefined, { scope, cursor: 0 })
      await close()
      console.log(JSON.stringify(changes.map(({ pk, payload }) => [pk, payload])))
    `
    const database = join(consumer, 'data/script.db')
    const output = await run('node', ['--input-type=module', '-e', script], {
      cwd: consumer,
      env: { OR3_SQLITE_DB_PATH: database },
    })
    expect(output.trim().split('\n').at(-1)).toBe('[["k",{"id":"k"}]]')
    expect(readdirSync(join(consumer, 'data'))).toEqual(['script.db', 'script.db-seen'])
  })
})
