/**
 * Subjects on Turso: on its engine in a process of its own, and on the client's own SQLite in this one.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { Effect, Layer, Logger } from 'effect'
import * as Migrator from '../../src/layers/batch/SchemaMigrator.js'
import * as Turso from '../../src/layers/batch/turso.js'
import * as Config from '../../src/layers/ProviderConfig.js'
import { onBatches } from './layerSubjects.js'
import { temporaryFolder } from './temporaryFolder.js'
import { startTurso } from './tursoServer.js'

/** A migrated database at an address. */
const tursoAt = (url: string) =>
  Migrator.layer.pipe(
    Layer.provideMerge(Turso.layer),
    Layer.provide(Config.layerOf({ driver: 'turso', dbPath: url })),
    Layer.provide(Logger.remove(Logger.defaultLogger)),
  )

const made = temporaryFolder()
let template: Promise<string> | undefined

/** A database without anything, made once: each test gets a copy, which takes a third of the time. */
const migrated = async (folder: string): Promise<string> => {
  template ??= (async () => {
    const file = join(made.folder, 'migrated.db')
    await Effect.runPromise(Effect.scoped(Layer.build(tursoAt(`file:${file}`))))
    return file
  })()
  const file = join(folder, 'test.db')
  copyFileSync(await template, file)
  return file
}

process.once('exit', made.remove)

export const onTursoFile = async () => {
  const { folder, remove } = temporaryFolder()
  return onBatches('turso file', tursoAt(`file:${await migrated(folder)}`), remove)
}

export const onTursoServer = async () => {
  const { folder, remove } = temporaryFolder()
  const { url, stop } = await startTurso(await migrated(folder))
  return onBatches('turso', tursoAt(url), async () => {
    await stop()
    remove()
  })
}
