// Counts how many tests of each suite ran on which engine, from vitest's JSON report, and compares with the table in test/README.md:
// a cell that names a number must have run, and one that does not must say why. With --write it writes the numbers into the table.
// With a folder that `test/support/statements.ts` has filled, each statement that `batches` was asked for must have run on Turso and D1.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [report, given] = process.argv.slice(2)
const engines = [
  'memory',
  'sqlite memory',
  'sqlite file',
  'adapters',
  'batches',
  'turso file',
  'turso',
  'd1',
  'bun',
]
const suites = ['gateway', 'store', 'jobs', 'webhooks', 'limits', 'properties']
const page = new URL('../test/README.md', import.meta.url)
const [begin, end] = ['<!-- engines -->', '<!-- /engines -->']

const counts = new Map()
for (const { name: file, assertionResults } of JSON.parse(readFileSync(report, 'utf8')).testResults) {
  const suite = suites.find((folder) => file.includes(`/test/${folder}/`))
  if (suite === undefined) continue
  for (const { status, fullName } of assertionResults) {
    const engine = engines.find((name) =>
      new RegExp(`(·|\\bon) ${name}(?![\\w ]*\\bfile|[\\w ]*\\bmemory)`).test(fullName),
    )
    if (status !== 'passed' || engine === undefined) continue
    const key = `${suite} ${engine}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
}

const text = readFileSync(page, 'utf8')
const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
if (from < begin.length || to < from) throw new Error('test/README.md has no table of engines')
const cellsOf = (line) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const [, , ...lines] = text
  .slice(from, to)
  .split('\n')
  .filter((line) => line.startsWith('|'))
const told = new Map(
  lines.flatMap((line) => {
    const [suite, ...cells] = cellsOf(line)
    return engines.map((engine, place) => [
      `${suite.replaceAll('`', '').replace('/', '')} ${engine}`,
      cells[place] ?? '',
    ])
  }),
)

const faults = []
const rows = suites.map((suite) => {
  const cells = engines.map((engine) => {
    const key = `${suite} ${engine}`
    const [ran, cell] = [counts.get(key) ?? 0, told.get(key) ?? '']
    if (/^\d+$/.test(cell) && ran === 0) faults.push(`${key}: the table says ${cell}, but none ran`)
    if (!/^\d+$/.test(cell) && !/^\[\w\]$/.test(cell) && ran === 0)
      faults.push(`${key}: none ran, and the table gives no reason`)
    const reason = /\[(\w)\]$/.exec(cell)?.[1]
    if (reason !== undefined && !text.includes(`- [${reason}] `))
      faults.push(`${key}: [${reason}] is not explained`)
    return ran > 0 ? String(ran) : cell
  })
  return `| \`${suite}/\` | ${cells.join(' | ')} |`
})

/** Lists of parameters are as long as what is asked for. */
const withoutLengths = (sql) =>
  sql.replace(/(\(\?(?:, ?\?)*\))(?:, ?\1)+/g, '$1').replace(/\?(?:, ?\?)+/g, '?')

const statementsOn = (engine) =>
  new Set(
    readdirSync(given)
      .filter((file) => file.startsWith(`${engine} `))
      .flatMap((file) => JSON.parse(readFileSync(join(given, file), 'utf8')).map(withoutLengths)),
  )

if (given !== undefined && given !== '--write') {
  const all = statementsOn('batches')
  if (all.size < 250) faults.push(`of the statements on batches only ${all.size} were written down`)
  for (const engine of ['turso', 'd1']) {
    const ran = statementsOn(engine)
    for (const sql of all)
      if (!ran.has(sql)) faults.push(`${engine} was not asked for ${sql.replace(/\s+/g, ' ').slice(0, 300)}`)
  }
}

if (given === '--write') {
  const head = [`| suite | ${engines.join(' | ')} |`, `| --- ${'| ---: '.repeat(engines.length)}|`]
  writeFileSync(page, `${text.slice(0, from)}\n\n${[...head, ...rows].join('\n')}\n\n${text.slice(to)}`)
} else {
  for (const fault of faults) console.error(fault)
  process.exit(faults.length === 0 ? 0 : 1)
}
