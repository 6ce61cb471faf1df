// Fails when a source file does not begin with a comment that says what the file is for.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const isSource = /\.(ts|mts|cts|js|mjs|cjs|vue|css)$/
// `.ci` and the like are ours too; these are made, not written.
const isMade = /^(node_modules|dist|coverage|\.(git|nuxt|output|data))$/

const sourcesIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => !isMade.test(name))
    .map((name) => join(folder, name))
    .flatMap((path) =>
      statSync(join(root, path)).isDirectory() ? sourcesIn(path) : isSource.test(path) ? [path] : [],
    )

/** A comment of three words at least, after a line that names an interpreter. */
const says = (text) => /^(#!.*\n)?(\/\*\*?|\/\/|<!--)\s*(\*\s*)?\S+[ \n]+\S+[ \n]+\S+/.test(text)

const silent = sourcesIn('.').filter((path) => !says(readFileSync(join(root, path), 'utf8')))
if (silent.length > 0) {
  console.error(`These begin without saying what they are for:\n  ${silent.join('\n  ')}`)
  process.exit(1)
}
