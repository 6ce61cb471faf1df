// Writes docs/api from what is built, or with --check tells what differs. Fails on anything public without a comment.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import prettier from 'prettier'
import { describePackage } from './apiReport.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'docs/api')
const check = process.argv.includes('--check')

const { reports, undocumented } = describePackage(root)
const options = await prettier.resolveConfig(join(folder, 'x.md'))

const write = async (into) => {
  mkdirSync(into, { recursive: true })
  for (const { file, text } of reports) {
    writeFileSync(join(into, file), await prettier.format(text, { ...options, parser: 'markdown' }))
  }
}

const contents = (of) =>
  JSON.stringify(
    existsSync(of) ? readdirSync(of).map((file) => [file, readFileSync(join(of, file), 'utf8')]) : [],
  )

if (check) {
  const current = mkdtempSync(join(tmpdir(), 'or3-api-'))
  await write(current)
  if (contents(current) !== contents(folder)) {
    spawnSync('git', ['--no-pager', 'diff', '--no-index', folder, current], { stdio: 'inherit' })
    console.error(
      '\nThe public interface differs from docs/api. If that is meant: npm run api, and review the change.',
    )
    process.exitCode = 1
  }
  rmSync(current, { recursive: true })
} else {
  rmSync(folder, { recursive: true, force: true })
  await write(folder)
  console.log(`wrote ${readdirSync(folder).join(', ')}`)
}

if (undocumented.length > 0) {
  console.error(`\nPublic, but without a comment that says what it is:\n  ${undocumented.join('\n  ')}`)
  process.exitCode = 1
}

if (check && process.exitCode === undefined) console.log('as docs/api says, and all of it has comments')
