/**
 * `copy`: a whole database from one place to another, so that devices notice nothing.
 */
import { Command, Options } from '@effect/cli'
import { Config, ConfigProvider, Effect, Either, Layer, Logger, LogLevel } from 'effect'
import {
  copyInto,
  type Copied,
  isEqual,
  lookAtVersions,
  persistently,
  type Refusal,
} from '../layers/operating/copy.js'
import { rootMessage } from '../layers/causes.js'
import * as Settings from '../layers/ProviderConfig.js'
import { nativeDriver } from '../layers/runtime.js'
import type { Look } from '../layers/sql/look.js'
import { isUnfinishedCopy } from '../layers/sql/schemaVersion.js'
import { makeConnection } from '../layers/synchronous/connection.js'
import { hasNote, noteExtent, seemsRestored } from '../layers/synchronous/leap.js'
import { ProviderConfig } from '../services/ProviderConfig.js'
import { isPartOf } from './backup.js'
import { failed, lineOf, usage } from './failure.js'
import { newFileTarget, reading } from './fileTarget.js'
import { networkTarget } from './networkTarget.js'
import { countText, remark, say, withProgress } from './output.js'
import { existing, newPlace } from './settings.js'
import { interruptibleBySignals } from './signals.js'
import { requireCurrent, type Target } from './target.js'

const to = Options.text('to').pipe(
  Options.withDescription(
    'an empty database: the path of a file, or an address such as libsql://NAME.turso.io, its token in OR3_SQLITE_TO_AUTH_TOKEN',
  ),
)

const isAddress = (where: string) => /^(libsql|https?|wss?|file):/i.test(where)

/** One database, however it is reached: several protocols lead to a server. */
const identityOf = (name: string) =>
  /^(libsql|https?|wss?):/i.test(name) ? name.toLowerCase().replace(/^\w+:|\/$/g, '') : name

/** What the settings of a server are called, by what they are called here. */
const names = {
  OR3_SQLITE_TURSO_TIMEOUT: 'OR3_SQLITE_TO_TIMEOUT',
  OR3_SQLITE_TURSO_URL: '--to',
  OR3_SQLITE_DB_PATH: '--to',
  OR3_SQLITE_TURSO_AUTH_TOKEN: 'OR3_SQLITE_TO_AUTH_TOKEN',
}

const inOurNames = (text: string) =>
  Object.entries(names).reduce((text, [name, own]) => text.replaceAll(name, own), text)

/** An argument would be seen by everybody on the machine. */
const settingsOf = (where: string) =>
  Effect.gen(function* () {
    if (where === '') return yield* usage('--to is empty: name a file, or an address')
    const optional = (name: string) => Config.withDefault(Config.string(name), '')
    const given: Array<[string, string]> = isAddress(where)
      ? [
          ['OR3_SQLITE_DRIVER', 'turso'],
          ['OR3_SQLITE_TURSO_URL', where],
          ['OR3_SQLITE_TURSO_AUTH_TOKEN', yield* optional(names.OR3_SQLITE_TURSO_AUTH_TOKEN)],
          ['OR3_SQLITE_TURSO_TIMEOUT', yield* optional(names.OR3_SQLITE_TURSO_TIMEOUT)],
        ]
      : [
          ['OR3_SQLITE_DRIVER', nativeDriver],
          ['OR3_SQLITE_DB_PATH', where],
        ]
    return yield* Effect.provide(
      ProviderConfig,
      Settings.layer.pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(given))))),
    ).pipe(
      Logger.withMinimumLogLevel(LogLevel.None),
      Effect.mapError((error) => usage(inOurNames(error.message))),
    )
  })

const targetOf = (where: string) =>
  Effect.gen(function* () {
    const settings = yield* settingsOf(where)
    if (isAddress(where))
      return networkTarget(settings, {
        address: '--to',
        token: names.OR3_SQLITE_TURSO_AUTH_TOKEN,
        timeout: names.OR3_SQLITE_TURSO_TIMEOUT,
      })
    return newFileTarget(settings, yield* newPlace(settings.dbPath, '--to'))
  })

const refusals: Record<Refusal, (target: string) => string> = {
  'not empty': (target) => `${target} is not empty: copy into a database that has nothing in it`,
  'of another source': (target) =>
    `${target} is the unfinished copy of another database: name another place, or remove it`,
  'source changed': (target) =>
    `the database was written to since its copy was begun: stop its servers, remove ${target}, and copy again`,
}

/** A file of the server's own, which has a note beside it. */
const fileOf = ({ name, file }: Target) => (name === file ? file : undefined)

/** A restored backup is settled by the next start; that would be the copy's, whose note knows nothing of it. */
const requireSettled = (file: string) =>
  reading(file, (database) =>
    seemsRestored(makeConnection(database), file)
      ? failed(
          `${file} is a restored backup that was not opened since: run \`or3-sqlite gc\`, which settles it as a start of the server does, and copy then`,
        )
      : Effect.void,
  )

const sayCopied = ({ layout, sums, resumed }: Copied, source: string, target: string) =>
  Effect.gen(function* () {
    const width = Math.max(...sums.map(([{ table }]) => table.length))
    for (const sum of sums) {
      const [{ table, rows, checksum }, theirs] = sum
      if (isEqual(sum) && rows === 0) continue
      const verdict = isEqual(sum)
        ? `equal, ${checksum.slice(0, 12)}`
        : `but ${countText(theirs.rows, 'row')} there, or others`
      yield* say(`${table.padEnd(width)}  ${countText(rows, 'row')}, ${verdict}`)
    }
    if (layout.foreign.length > 0)
      yield* say(`not copied, since no table of ours: ${layout.foreign.join(', ')}`)
    if (!sums.every(isEqual))
      return yield* failed(
        `${target} differs from ${source}, which was written to meanwhile: stop its servers, remove ${target}, and copy again`,
      )
    const rows = sums.reduce((sum, [{ rows }]) => sum + rows, 0)
    const before = resumed === 0 ? '' : `, ${countText(resumed, 'row')} of them by an earlier run`
    yield* say(`${target}: copied from ${source}, ${countText(rows, 'row')}${before}; both sides are equal`)
  })

/** What came while it was copied is not in the copy. */
const tellMissed = (source: Target, before: ReadonlyMap<string, number>) =>
  Effect.gen(function* () {
    const now = yield* source.observing((seen) => seen.look('copy', lookAtVersions()))
    const missed = [...now].filter(([id, version]) => version !== (before.get(id) ?? 0))
    if (missed.length === 0) return
    const changes = missed.reduce((sum, [id, version]) => sum + version - (before.get(id) ?? 0), 0)
    yield* remark(
      `not in the copy: ${countText(changes, 'change')} that came meanwhile, in ${missed.map(([id]) => id).join(', ')}; stop the servers, remove the copy, and copy again`,
    )
  })

/** Of a copy: what it has, or that another database at its place had more, which its first start then leaps over. */
const settleNote = (file: string) =>
  reading(file, (database) => {
    const connection = makeConnection(database)
    return hasNote(file) && seemsRestored(connection, file)
      ? remark(
          `${file}-seen tells of a database that had more: at the first start all devices will pull their workspaces anew; remove that note if it was another database's`,
        )
      : Effect.try({
          try: () => noteExtent(connection, file),
          catch: (error) => failed(rootMessage(error)),
        })
  })

export const copy = Command.make('copy', { to }, ({ to }) =>
  Effect.gen(function* () {
    const source = yield* existing
    if (!isAddress(to) && isPartOf(source.file, to))
      return yield* usage(`${to} is the database itself or a part of it: choose another name`)
    const target = yield* targetOf(to)
    if (
      identityOf(target.name) === identityOf(source.name) ||
      (target.file !== undefined && isPartOf(source.file, target.file))
    )
      return yield* usage('source and target are the same database')
    const sourceFile = fileOf(source)
    if (sourceFile !== undefined) yield* requireSettled(sourceFile)
    const { copied, versions } = yield* source.observing((seen) =>
      Effect.gen(function* () {
        yield* requireCurrent(source, seen.schema)
        const found = yield* target.schema
        const isBegun = found.kind === 'newer' && isUnfinishedCopy(found.applied)
        if (found.kind === 'empty') yield* Logger.withMinimumLogLevel(target.migrating, LogLevel.None)
        else if (!isBegun) yield* requireCurrent(target, found)
        const read = <A>(look: Look<A>) => source.failing(persistently(seen.look('copy', look)))
        const versions = yield* read(lookAtVersions())
        const copied = yield* withProgress('copy', ({ update }) =>
          target.filling((engine) =>
            copyInto({
              ...{ read, source: source.name, engine, isBegun },
              onRows: (done, of) => update(done, of, `${countText(done, 'row')} copied or compared`),
            }),
          ),
        )
        return { copied, versions }
      }),
    )
    if (Either.isLeft(copied)) return yield* failed(refusals[copied.left](target.name))
    yield* sayCopied(copied.right, source.name, target.name)
    const file = fileOf(target)
    if (file !== undefined) yield* settleNote(file)
    yield* tellMissed(source, versions).pipe(
      // The copy is whole all the same.
      Effect.catchAll((error) =>
        remark(
          `${source.name} cannot be asked again whether changes came meanwhile: ${lineOf(error)}; if its servers ran, remove the copy, and copy again`,
        ),
      ),
    )
  }).pipe(interruptibleBySignals),
).pipe(
  Command.withDescription(
    'Copies the whole database into an empty one, a file or one of Turso; goes on where it was interrupted, and compares both. Stop the servers first.',
  ),
)
