/**
 * What the tests are helped by (`test/support`), as JavaScript for benchmarks.
 */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const pathOf = (place) => fileURLToPath(new URL(`../${place}`, import.meta.url))

/** A module of `test/support`, bundled within the tree, so that it finds what it imports. It reads and finds the tree as if it lay there. */
export const supported = async (name) => {
  const entry = pathOf(`test/support/${name}.ts`)
  const outfile = pathOf(`node_modules/.cache/or3-bench/${name}.mjs`)
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    alias: { vitest: pathOf('bench/workDir.mjs') },
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(entry).href) },
  })
  return import(pathToFileURL(outfile).href)
}
