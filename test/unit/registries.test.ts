/**
 * Issue 14, point 1: which of the host's files the plugin imports, found when the host is built.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hostModule } from '../../src/nuxt/registries.js'

let root: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'or3-registries-'))
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** A host with these files below its root. */
const withFiles = (files: Readonly<Record<string, string>>) => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

const store = {
  'server/auth/store/registry.ts': 'export const registerAuthWorkspaceStore = (item: unknown) => {}',
}
const gateway = {
  'server/sync/gateway/registry.ts': 'export function registerSyncGatewayAdapter(item: unknown): void {}',
}
const hooks = {
  'server/utils/webhooks/runtime.ts':
    'export async function emitWebhookSystemHook(name: string, payload: object): Promise<void> {}',
}
const february = { ...store, ...gateway }

/** What later hosts have besides, file by file. */
const later = {
  registerRateLimitProvider: 'server/utils/rate-limit/registry',
  registerBackgroundJobProvider: 'server/utils/background-jobs/registry',
  getJobConfig: 'server/utils/background-jobs/store',
  registerWebhookStore: 'server/utils/webhooks/store/registry',
  registerAdminStoreProvider: 'server/admin/stores/registry',
  registerProviderAdminAdapter: 'server/admin/providers/registry',
}
const names = Object.keys(later)
const missing = (without: ReadonlyArray<string> = []) =>
  names.filter((name) => !without.includes(name)).map((name) => `export const ${name} = undefined`)

const imports = {
  store: `export { registerAuthWorkspaceStore } from "~~/server/auth/store/registry.ts"`,
  gateway: `export { registerSyncGatewayAdapter } from "~~/server/sync/gateway/registry.ts"`,
  hooks: `export { emitWebhookSystemHook } from "~~/server/utils/webhooks/runtime.ts"`,
  noHooks: `export const emitWebhookSystemHook = undefined`,
}

describe('the plugin imports', () => {
  it("a February host's two registries", () => {
    withFiles(february)
    expect(hostModule(root).split('\n')).toEqual([
      ...[imports.store, imports.gateway, imports.noHooks],
      ...missing(),
    ])
  })

  it('what a later host has besides, and nothing of its files that it does not know', () => {
    withFiles({
      ...february,
      ...hooks,
      'server/some/registry.ts': 'export {}',
    })
    expect(hostModule(root).split('\n')).toEqual([
      ...[imports.store, imports.gateway, imports.hooks],
      ...missing(),
    ])
  })

  it.each(Object.entries(later))('%s alone, where a later host has that', (name, path) => {
    withFiles({ ...february, [`${path}.ts`]: `export const ${name} = () => {}` })
    const lines = hostModule(root).split('\n')
    expect(lines).toContain(`export { ${name} } from "~~/${path}.ts"`)
    expect(lines.filter((line) => line.endsWith('= undefined'))).toEqual([
      imports.noHooks,
      ...missing([name]),
    ])
  })

  it('no limits of jobs from a store that has none', () => {
    withFiles({ ...february, [`${later.getJobConfig}.ts`]: 'export const somethingElse = 1' })
    expect(hostModule(root)).toContain('export const getJobConfig = undefined')
  })

  it.each(['.ts', '.mts', '.js', '.mjs'])('from a file that ends with %s', (extension) => {
    withFiles(gateway)
    withFiles({
      [`server/auth/store/registry${extension}`]: 'export const registerAuthWorkspaceStore = () => {}',
    })
    expect(hostModule(root)).toContain(`from "~~/server/auth/store/registry${extension}"`)
  })

  it('from the file that the imports of the host mean, where there are several', () => {
    withFiles(february)
    for (const extension of ['.js', '.mjs', '.mts']) {
      withFiles({ [`server/auth/store/registry${extension}`]: 'export const somethingElse = 1' })
    }
    expect(hostModule(root)).toContain(imports.store)
  })

  it('from a folder with an index', () => {
    withFiles({
      ...gateway,
      'server/auth/store/registry/index.ts': 'export const registerAuthWorkspaceStore = 1',
    })
    expect(hostModule(root)).toContain(`from "~~/server/auth/store/registry/index.ts"`)
  })
})

describe('the export is seen', () => {
  it.each([
    ['a function', 'export function registerAuthWorkspaceStore<A>(item: Item<A>): void {}'],
    [
      'an overloaded function',
      'export function registerAuthWorkspaceStore(a: A): void;\nexport function registerAuthWorkspaceStore(a: any) {}',
    ],
    ['an async function', 'export async function registerAuthWorkspaceStore() {}'],
    [
      'a constant with a type',
      'export const registerAuthWorkspaceStore: Register<Store> = (item) => { items.push(item) }',
    ],
    ['one of several constants', 'export const first = 1,\n  registerAuthWorkspaceStore = 2'],
    ['a variable', 'export let registerAuthWorkspaceStore: Register'],
    ['a list', 'const registerAuthWorkspaceStore = 1\nexport { other, registerAuthWorkspaceStore }'],
    [
      'a list over lines with a comment',
      'export {\n  other, // first\n  // then\n  registerAuthWorkspaceStore,\n}',
    ],
    ['another name in a list', 'const register = 1\nexport { register as registerAuthWorkspaceStore }'],
    ['a re-export', `export { register as registerAuthWorkspaceStore } from '../registries'`],
    ['a re-export of a default', `export { default as registerAuthWorkspaceStore } from './register'`],
    ['parts of an object', 'export const { registerAuthWorkspaceStore, get } = makeRegistry<Store>()'],
    [
      'parts of an object, with other names',
      'export const { register: { it: registerAuthWorkspaceStore } } = registries',
    ],
    ['without a space', 'export{registerAuthWorkspaceStore}'],
    ['the last of a list, with a comment', 'export { x as registerAuthWorkspaceStore // the last\n}'],
    ['the last of a list, with another comment', 'export { x as registerAuthWorkspaceStore /* c */ }'],
    ['a string', 'export { x as "registerAuthWorkspaceStore" }'],
    ['a value beside types', 'export { type A, x as registerAuthWorkspaceStore, type B }'],
    ['one under two names', 'export { registerAuthWorkspaceStore as default, registerAuthWorkspaceStore }'],
    ['a constant behind a comment', 'export const /* c */ registerAuthWorkspaceStore = 1'],
    ['a function behind a comment', 'export function /* c */ registerAuthWorkspaceStore() {}'],
    ['a commented function', 'export /* c */ function registerAuthWorkspaceStore() {}'],
    ['a generator', 'export function* registerAuthWorkspaceStore() {}'],
    ['a class', 'export abstract class registerAuthWorkspaceStore {}'],
    ['a declaration', 'export declare function registerAuthWorkspaceStore(a: A): void'],
    [
      'behind other exports',
      'export type A = 1\nexport default 2\nexport let registerAuthWorkspaceStore = 3',
    ],
    ['a constant behind statements', 'export const a = () => { b(); c() }, registerAuthWorkspaceStore = 1'],
    ['quotes are between comments', "// don't\nexport function registerAuthWorkspaceStore() {}\n// it's"],
    [
      'marks of comments are in strings',
      'const a = "/*"\nexport function registerAuthWorkspaceStore() {}\nconst b = "*/"',
    ],
  ])('as %s', (_as, code) => {
    withFiles({ ...gateway, 'server/auth/store/registry.ts': code })
    expect(hostModule(root)).toContain(imports.store)
  })

  const register = 'export const registerAuthWorkspaceStore = 1'

  it.each([
    `export * from './register'`,
    `export*from"./register"`,
    `export *\n  from './register' // all`,
    `export /* all */ * from /* it */ './register'`,
    `export // all\r\n  * from './register'`,
    `// what we export\n${'/'.repeat(200)}\nexport * from './register'`,
    `export type * from './types'\nexport * from './register'`,
  ])('in another file that all is passed on of: %s', (code) => {
    withFiles({ ...gateway, 'server/auth/store/register.ts': register })
    withFiles({ 'server/auth/store/registry.ts': code })
    expect(hostModule(root)).toContain(imports.store)
  })

  it.each([
    ['beside it', './register', 'server/auth/store/register.ts', register],
    ['above it', '../../registries/store', 'server/registries/store.ts', register],
    ['with an extension', './register.ts', 'server/auth/store/register.ts', register],
    ['with the extension it is compiled to', './register.js', 'server/auth/store/register.ts', register],
    ['of a folder', './all', 'server/auth/store/all/index.ts', register],
    ['that passes on all of a package', './all', 'server/auth/store/all.ts', `export * from 'some-registry'`],
  ])('in another file %s', (_where, specifier, file, code) => {
    withFiles({ ...gateway, [file]: code })
    withFiles({ 'server/auth/store/registry.ts': `export * from '${specifier}'\nexport const other = 1` })
    expect(hostModule(root)).toContain(imports.store)
  })

  it.each(['some-registry', '~~/shared/registries', '#registries', './made-by-another-module'])(
    'nor denied where it cannot be told: all of %s is passed on',
    (specifier) => {
      withFiles({ ...gateway, 'server/auth/store/registry.ts': `export * from '${specifier}'` })
      expect(hostModule(root)).toContain(imports.store)
    },
  )
})

describe('a host is refused, by one line with file and export', () => {
  it.each([
    ['exports something else', 'export const registerWorkspaceStore = () => {}'],
    ['exports nothing', 'const registerAuthWorkspaceStore = () => {}'],
    ['exports it as a type alone', 'export type registerAuthWorkspaceStore = () => void'],
    ['exports it as a type alone in a list', `export type { registerAuthWorkspaceStore } from './types'`],
    ['exports it as the default', 'export default function registerAuthWorkspaceStore() {}'],
    ['only speaks of it', '/** Should have registerAuthWorkspaceStore. */\nexport const register = 1'],
    ['passes on types alone', `export type * from './register'`],
    ['gives it another name', 'export { registerAuthWorkspaceStore as register }'],
    ['passes a namespace on', `export * as registries from './register'`],
    ['is empty', ''],
  ])('that %s', (_what, code) => {
    withFiles({ ...february, 'server/auth/store/registry.ts': code })
    expect(() => hostModule(root)).toThrow(
      new RegExp(
        `^\\[or3-provider-sqlite\\] ${root}/server/auth/store/registry\\.ts does not export registerAuthWorkspaceStore: [^\\n]+$`,
      ),
    )
  })

  it('whose files pass on only what others pass on, round and round', () => {
    withFiles({ ...gateway, 'server/auth/store/registry.ts': `export * from './other'` })
    withFiles({ 'server/auth/store/other.ts': `export * from './registry'` })
    expect(() => hostModule(root)).toThrow(/registry\.ts does not export registerAuthWorkspaceStore/)
  })

  it('that has a later file without its export', () => {
    withFiles({ ...february, 'server/utils/webhooks/runtime.mjs': 'export const emit = () => {}' })
    expect(() => hostModule(root)).toThrow(/webhooks\/runtime\.mjs does not export emitWebhookSystemHook/)
  })

  it('that lacks a registry which every host has', () => {
    withFiles(store)
    expect(() => hostModule(root)).toThrow(
      /^\[or3-provider-sqlite\] [^\n]*server\/sync\/gateway\/registry\.ts is missing, which exports registerSyncGatewayAdapter[^\n]*$/,
    )
  })

  it('with no stack, which would be more lines', () => {
    let stack: string | undefined
    try {
      hostModule(root)
    } catch (error) {
      stack = (error as Error).stack
    }
    expect(stack).toMatch(/^\[or3-provider-sqlite\] [^\n]+$/)
  })

  it('but not while it is prepared, when its sources may not be there yet', () => {
    expect(hostModule(root, false)).toBe(
      ['registerAuthWorkspaceStore', 'registerSyncGatewayAdapter', 'emitWebhookSystemHook', ...names]
        .map((name) => `export const ${name} = undefined`)
        .join('\n'),
    )
    withFiles({ ...february, 'server/auth/store/registry.ts': '' })
    expect(hostModule(root, false)).toContain(imports.gateway)
  })
})
