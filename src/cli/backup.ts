/**
 * `backup` and `restore`: a copy of the database while it is in use, and the way back.
 */
import { existsSync, realpathSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Args, Command, Options } from '@effect/cli'
import { DateTime, Effect } from 'effect'
import { type Checked, checkCopy, companions, copyOnline, publish } from '../layers/operating/backup.js'
import { createPrivate, resemble } from '../layers/operating/files.js'
import { holdersOf, holdersText } from '../layers/operating/holders.js'
import { rootMessage } from '../layers/causes.js'
import { schemaName } from '../layers/operating/schemaState.js'
import { restoreBackup } from '../layers/operating/restore.js'
import { failed, usage } from './failure.js'
import { reading } from './fileTarget.js'
import { bytesText, countText, remark, say, withProgress } from './output.js'
import { existingFile, place } from './settings.js'
import { interruptibleBySignals } from './signals.js'

const force = Options.boolean('force').pipe(Options.withDescription('replace the file if it is there'))

const target = Args.text({ name: 'FILE' }).pipe(Args.withDescription('where the copy goes'))

const sameFile = (a: string, b: string) =>
  existsSync(a) && existsSync(b) && statSync(a).ino === statSync(b).ino && statSync(a).dev === statSync(b).dev

const summary = ({ schema, workspaces, extent }: Checked) =>
  `${schemaName(schema)}, ${countText(workspaces, 'workspace')}, ${countText(extent.total, 'version')}`

/** Whether a path leads to the database or to what belongs to it: none of it may be opened or replaced by a command. */
export const isPartOf = (database: string | undefined, path: string): boolean => {
  if (database === undefined) return false
  const folder = dirname(path)
  // What is not there yet has a name already.
  const named = existsSync(folder) ? join(realpathSync(folder), basename(path)) : path
  return [database, ...[...companions, '-seen'].map((suffix) => database + suffix)].some(
    (part) => part === named || sameFile(part, path),
  )
}

/** Where a file may be written, or why not. A journal that lies there would become a part of it. */
export const writable = (path: string, mayReplace: boolean, database: string | undefined) =>
  Effect.suspend(() => {
    if (isPartOf(database, path))
      return usage(`${path} is the database itself or a part of it: choose another name`)
    const folder = dirname(path)
    if (!existsSync(folder) || !statSync(folder).isDirectory()) return usage(`there is no folder ${folder}`)
    const file = join(realpathSync(folder), basename(path))
    if (existsSync(file) && !statSync(file).isFile()) return usage(`${path} is no file`)
    const taken = [file, ...companions.map((suffix) => file + suffix)].filter((each) => existsSync(each))
    if (taken.length > 0 && !mayReplace)
      return usage(`${taken[0]} is there already: choose another name, or replace it with --force`)
    const holders = holdersOf(taken)
    return holders.length > 0 ? failed(`${path} is in use by ${holdersText(holders)}`) : Effect.succeed(file)
  })

/** Errors of the file system say what was done to which file. */
const attempting = <A>(body: () => A) =>
  Effect.try({ try: body, catch: (error) => failed(rootMessage(error)) })

export const backup = Command.make('backup', { target, force }, ({ target, force }) =>
  Effect.gen(function* () {
    const { file } = yield* existingFile('backup')
    const copy = yield* writable(target, force, file)
    const draft = `${copy}.part-${process.pid}`
    const checked = yield* Effect.gen(function* () {
      yield* attempting(() => {
        // Of an earlier process of this id, which was killed.
        rmSync(draft, { force: true })
        createPrivate(draft)
      })
      yield* reading(file, (database) =>
        withProgress('backup', ({ update }) => {
          const page = Number(database.pragma('page_size', { simple: true }))
          return copyOnline(database, draft, (done, of) =>
            update(done, of, `${bytesText(done * page)} of ${bytesText(of * page)}`),
          )
        }),
      )
      const checked = yield* checkCopy(draft, 'the copy')
      yield* attempting(() => {
        resemble(draft, file, { owner: false })
        publish(draft, copy, force)
      })
      return checked
    }).pipe(
      Effect.ensuring(
        Effect.sync(() => ['', ...companions].forEach((suffix) => rmSync(draft + suffix, { force: true }))),
      ),
      interruptibleBySignals,
    )
    yield* say(`${copy}: ${bytesText(statSync(copy).size)}, checked; ${summary(checked)}`)
  }),
).pipe(
  Command.withDescription(
    'Copies the database into one file and checks the copy. The server may run, and write without pause.',
  ),
)

const source = Args.text({ name: 'FILE' }).pipe(Args.withDescription('the backup'))

export const restore = Command.make('restore', { source }, ({ source }) =>
  Effect.gen(function* () {
    const file = yield* place('restore')
    if (existsSync(source) && statSync(source).isDirectory()) return yield* usage(`${source} is a folder`)
    if (!existsSync(source) || !statSync(source).isFile()) return yield* usage(`there is no backup ${source}`)
    if (isPartOf(file, source)) return yield* usage(`${source} is the database itself or a part of it`)
    const now = DateTime.formatIso(yield* DateTime.now)
    const stamp = now.replace(/\.\d+/, '').replaceAll(/[-:]/g, '')
    const restored = yield* interruptibleBySignals(restoreBackup(realpathSync(source), file, stamp))
    yield* say(`${file}: restored from ${source}; ${summary(restored)}`)
    if (restored.kept !== undefined) yield* say(`the database as it was is kept as ${restored.kept}`)
    if (restored.schema.pending.length > 0)
      yield* say(`the next start applies ${restored.schema.pending.map(({ name }) => name).join(', ')}`)
    yield* say(
      'at the next start of the server all devices pull their workspaces anew, and what the backup holds wins over what they have',
    )
    yield* say(
      'changes since the backup are lost, except records that the backup does not know: devices keep those to themselves',
    )
    if (!restored.knowsExtent)
      yield* remark(`nothing told what devices have seen, so ${file}-seen assumes the most`)
    if (restored.stillOnOld.length > 0)
      return yield* failed(
        `${holdersText(restored.stillOnOld)} opened the old database meanwhile and works on it: stop it`,
      )
  }),
).pipe(
  Command.withDescription(
    'Checks a backup and puts it in the place of the database, which is kept beside it. Stop the server first.',
  ),
)
