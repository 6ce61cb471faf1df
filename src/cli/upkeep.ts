/**
 * `gc` and `vacuum`: less history, and a smaller file.
 */
import { statSync } from 'node:fs'
import { Command, Options } from '@effect/cli'
import { Effect, Option } from 'effect'
import { durationRule, positiveDuration } from '../layers/durations.js'
import { compact } from '../layers/operating/compact.js'
import { countSynced, lookAtWorkspace } from '../layers/operating/inspect.js'
import { Upkeep } from '../services/Upkeep.js'
import { usage } from './failure.js'
import { bytesText, countText, remark, say, withProgress } from './output.js'
import { existing, existingFile } from './settings.js'
import { noWorkspace, requireCurrent } from './target.js'

const retention = Options.text('retention').pipe(
  Options.withDescription(
    'how much history stays, such as "30 days"; OR3_SQLITE_GC_RETENTION if not given, else 30 days',
  ),
  Options.optional,
)

const workspace = Options.text('workspace').pipe(
  Options.withDescription('only this workspace, by its id'),
  Options.optional,
)

const durationOf = (text: string) => {
  const duration = positiveDuration(text)
  return duration === undefined
    ? usage(`--retention is "${text}", but accepts ${durationRule}`)
    : Effect.succeed(duration)
}

export const gc = Command.make('gc', { retention, workspace }, ({ retention, workspace }) =>
  Effect.gen(function* () {
    const target = yield* existing
    const { name, settings } = target
    const window = Option.isSome(retention) ? yield* durationOf(retention.value) : settings.gcRetention
    const { count, free } = yield* target.observing((seen) =>
      Effect.gen(function* () {
        yield* requireCurrent(target, seen.schema)
        if (Option.isSome(workspace)) {
          const found = yield* seen.look('gc', lookAtWorkspace(workspace.value))
          if (found === undefined) return yield* noWorkspace(workspace.value, name)
        }
        return { count: yield* seen.look('gc', countSynced()), free: yield* seen.freeBytes }
      }),
    )
    const report = yield* target.serving(
      withProgress('gc', ({ update }) =>
        Effect.gen(function* () {
          const upkeep = yield* Upkeep
          const report = yield* upkeep.collect({
            retention: window,
            workspaceId: Option.getOrUndefined(workspace),
            onWorkspace: (id, looked) => update(looked, count, `workspace ${id}`),
          })
          yield* upkeep.tidy
          return report
        }),
      ),
    )
    const { workspaces, entries, tombstones, opIds, cursors, purged } = report
    yield* say(
      `${countText(workspaces, 'workspace')}: removed ${countText(entries, 'log entry', 'log entries')}, ` +
        `${countText(tombstones, 'tombstone')}, ${countText(opIds, 'op id')}, ${countText(cursors, 'stale cursor')}` +
        (purged > 0 ? `; ${countText(purged, 'interrupted purge')} finished` : ''),
    )
    const left = yield* target.observing((seen) => seen.freeBytes)
    if (free === undefined || left === undefined) return
    const freed = left - free
    yield* say(
      `${bytesText(Math.max(0, freed))} freed within the file, ${bytesText(left)} free in all${freed > 0 ? '; `or3-sqlite vacuum` gives them back' : ''}`,
    )
  }),
).pipe(
  Command.withDescription(
    'Removes history that every live device has and that is older than the retention window. The server may run.',
  ),
)

export const vacuum = Command.make('vacuum', {}, () =>
  Effect.gen(function* () {
    const target = yield* existingFile('vacuum')
    const { file } = target
    yield* target.observing(({ schema }) => requireCurrent(target, schema))
    yield* remark(`rewriting ${bytesText(statSync(file).size)}; pushes wait meanwhile`)
    const { before, after, waits } = yield* compact(file)
    yield* say(
      waits
        ? `rewritten; the file is at ${bytesText(after)} and shrinks when its readers are done`
        : `${bytesText(before)} before, ${bytesText(after)} now: ${bytesText(Math.max(0, before - after))} given back`,
    )
  }),
).pipe(
  Command.withDescription(
    'Rewrites the file without its free pages. Needs as much free space again; stop the server, or its pushes wait or fail meanwhile.',
  ),
)
