/**
 * `status`: how a database is doing, in one look that disturbs nobody.
 */
import { Command, Options } from '@effect/cli'
import { Effect } from 'effect'
import type { DatabaseStatus, FileFacts, WorkspaceStatus } from '../layers/operating/inspect.js'
import { isUnfinishedCopy } from '../layers/sql/schemaVersion.js'
import { ageText, bytesText, countText, quoted, say, printable } from './output.js'
import { existing } from './settings.js'

const json = Options.boolean('json').pipe(Options.withDescription('print one JSON object'))

const table = (rows: ReadonlyArray<readonly [string, string]>, indent = '') =>
  rows.map(([name, value]) => `${indent}${name.padEnd(10)} ${value}`)

const schemaText = ({ schema: { kind, applied, pending }, toAdopt }: DatabaseStatus) => {
  const names = pending.map(({ name }) => name).join(', ')
  switch (kind) {
    case 'newer':
      if (isUnfinishedCopy(applied)) return 'none yet: this is an unfinished copy'
      return `${applied}, of a newer release`
    case 'legacy':
      return `of the earlier package, ${countText(toAdopt?.workspaces ?? 0, 'workspace')}, ${countText(toAdopt?.versions ?? 0, 'version')}; pending: ${names}`
    default:
      return pending.length === 0 ? `${applied}, up to date` : `${applied}; pending: ${names}`
  }
}

const workspaceLines = (workspace: WorkspaceStatus): ReadonlyArray<string> => {
  const { id, name, removed, members, liveRows, logEntries, version, floor, oldestEntryAge } = workspace
  const { slowestDevice: slowest, devices } = workspace
  const rows = Object.entries(liveRows).map(([table, count]) =>
    countText(count, table.replace(/s$/, ''), table),
  )
  const age = oldestEntryAge === null ? '' : `, the oldest ${ageText(oldestEntryAge)} old`
  const trimmed = floor === 0 ? '' : `, trimmed up to ${floor}`
  return [
    '',
    `workspace ${printable(id)}${name === null ? '' : ` ${quoted(name)}`}${removed ? ' (removed)' : ''}`,
    ...table(
      [
        ['members', String(members)],
        ['rows', rows.length === 0 ? 'none' : rows.join(', ')],
        ['log', `${countText(logEntries, 'entry', 'entries')}${age}`],
        ['version', `${version}${trimmed}`],
        [
          'devices',
          slowest === null
            ? 'none'
            : `${devices}, the slowest ${printable(slowest.deviceId)} at ${slowest.version}, ${slowest.behind} behind, heard of ${ageText(slowest.heardOf)} ago`,
        ],
      ],
      '  ',
    ),
  ]
}

const pragmasText = (pragmas: FileFacts['pragmas']) =>
  Object.entries(pragmas)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

const placeLines = (status: DatabaseStatus): ReadonlyArray<readonly [string, string]> => {
  const schema = ['schema', schemaText(status)] as const
  if ('address' in status) return [['database', status.address], schema]
  const { bytes, freeBytes, walBytes } = status
  return [
    ['database', status.path],
    [
      'size',
      `${bytesText(bytes)}, of it ${bytesText(freeBytes)} free; write-ahead log ${bytesText(walBytes)}`,
    ],
    schema,
    ['pragmas', pragmasText(status.pragmas)],
    ...(status.hasNote || status.schema.kind !== 'ours'
      ? []
      : [['seen file', 'none beside it: the next start takes this for a restored backup'] as const]),
  ]
}

const lines = (status: DatabaseStatus): ReadonlyArray<string> => [
  ...table(placeLines(status)),
  ...table(
    status.notServed === undefined
      ? []
      : [['not served', `${status.notServed.join(', ')}: of the earlier package, kept as they are`]],
  ),
  ...status.workspaces.flatMap(workspaceLines),
]

export const status = Command.make('status', { json }, ({ json }) =>
  Effect.gen(function* () {
    const target = yield* existing
    const status = yield* target.observing((seen) => seen.status)
    yield* say(json ? JSON.stringify(status, undefined, 2) : lines(status).join('\n'))
  }),
).pipe(
  Command.withDescription(
    'Shows size, schema and workspaces of the database. Changes nothing; the server may run.',
  ),
)
