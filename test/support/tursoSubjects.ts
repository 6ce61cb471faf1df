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
import { lender } from './lentEngines.js'
import { temporaryFolder } from './temporaryFolder.js'
import { startTurso } from './tursoServer.js'

const engineAt = (url: string) => Layer.provide(Turso.layer, Config.layerOf({ driver: 'turso', dbPath: url }))

const migratedAt = (url: string) =>
  Migrator.layer.pipe(
    Layer.provideMerge(engineAt(url)),
    Layer.provide(Config.layerOf({ driver: 'turso', dbPath: url })),
    Layer.provide(Logger.remove(Logger.defaultLogger)),
  )

const made = temporaryFolder()
let template: Promise<string> | undefined

/** A database without anything, made once: each test gets a copy, which takes a third of the time. */
const migrated = async (folder: string): Promise<string> => {
  template ??= (async () => {
    const file = join(made.folder, 'migrated.db')
    await Effect.runPromise(Effect.scoped(Layer.build(migratedAt(`file:${file}`))))
    return file
  })()
  const file = join(folder, 'test.db')
  copyFileSync(await template, file)
  return file
}

process.once('exit', made.remove)

export const onTursoFile = async () => {
  const { folder, remove } = temporaryFolder()
  return onBatches('turso file', engineAt(`file:${await migrated(folder)}`), remove)
}

const lend = lender(async () => {
  const { folder, remove } = temporaryFolder()
  process.once('exit', remove)
  const { url } = await startTurso(await migrated(folder))
  return engineAt(url)
})

/** The servers end with this process. */
export const onTursoServer = async () => {
  const { engine, giveBack } = await lend()
  return onBatches('turso', engine, giveBack)
}
