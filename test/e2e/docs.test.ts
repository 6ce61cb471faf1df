/**
 * Every block of TypeScript in the documentation compiles against the packed package.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { packed } from '../support/builtHost.js'
import { root, run } from '../support/run.js'

const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-docs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const markdown = (within: string, recursive = false) =>
  readdirSync(join(root, within), { recursive, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !/node_modules/.test(file))
    .map((file) => join(within, file).replaceAll('\\', '/'))

/** The reports of the public interface are made from what compiles. */
const documents = [
  ...markdown('.'),
  ...markdown('docs'),
  ...['bench', 'examples', 'test'].flatMap((folder) => markdown(folder, true)),
]

/** What Nuxt generates for a host that lists the module. */
const ambient = `
import type { ModuleOptions } from 'or3-provider-sqlite/nuxt'
declare global {
  const defineNuxtConfig: typeof import('nuxt/config').defineNuxtConfig
}
declare module '@nuxt/schema' {
  interface NuxtConfig {
    or3Sqlite?: ModuleOptions
    nitro?: import('nitropack').NitroConfig
  }
}
`

const blocks = documents.flatMap((document) => {
  const text = readFileSync(join(root, document), 'utf8')
  return [...text.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```/gm)].map((match) => ({
    /** Where the block's first line is. */
    place: `${document}:${text.slice(0, match.index).split('\n').length + 1}`,
    // Without an export or import it would share its names with the others.
    code: `${match[1]!}\nexport {}\n`,
  }))
})

let output = ''

beforeAll(async () => {
  // The package from its tarball, everything else from this tree.
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(join(root, 'node_modules'))) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction')
  }
  await run('tar', ['-xzf', (await packed()).tarball, '-C', folder])
  symlinkSync(join(folder, 'package'), join(modules, 'or3-provider-sqlite'), 'junction')

  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  writeFileSync(join(folder, 'ambient.ts'), ambient)
  blocks.forEach(({ code }, index) => writeFileSync(join(folder, `block${index}.ts`), code))
  const compiler = join(root, 'node_modules/typescript-7/bin/tsc')
  output = await run('node', [compiler, '-p', folder, '--pretty', 'false'], { cwd: folder }).catch(String)
})

it('nothing but blocks has errors', () => {
  const errors = output.split('\n').filter((line) => line.includes('error TS'))
  expect(errors.filter((line) => !/^block\d+\.ts/.test(line))).toEqual([])
})

it.each(blocks.map(({ place }, index) => [place, index] as const))('%s', (_place, index) => {
  expect(output.split('\n').filter((line) => line.startsWith(`block${index}.ts`))).toEqual([])
})
