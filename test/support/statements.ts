/**
 * The statements that each engine was asked for, written down for `.ci/engines.mjs` where `OR3_STATEMENTS_DIR` names a folder.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Context, Layer } from 'effect'
import { Batches } from '../../src/layers/sql/Batches.js'

const folder = process.env.OR3_STATEMENTS_DIR
const texts = new Map<string, Set<string>>()
let recording = false

/** Has what a body opens written down: properties ask at random, so only suites do. */
export const recordedIn = async <A>(open: () => Promise<A>): Promise<A> => {
  recording = true
  try {
    return await open()
  } finally {
    recording = false
  }
}

/** An engine whose statements are written down under a name, but for those of tests themselves. */
export const recorded = <E>(name: string, engine: Layer.Layer<Batches, E>): Layer.Layer<Batches, E> => {
  if (folder === undefined || !recording) return engine
  const asked = texts.get(name) ?? new Set<string>()
  texts.set(name, asked)
  const noting =
    (run: Batches['Type']['read']): Batches['Type']['read'] =>
    (operation, batch) => {
      if (operation !== 'test') for (const { sql } of batch.statements) asked.add(sql)
      return run(operation, batch)
    }
  return Layer.map(engine, (context) => {
    const { read, write } = Context.get(context, Batches)
    return Context.make(Batches, { read: noting(read), write: noting(write) })
  })
}

/** For the end of each file, since nobody tells a worker of its own end. */
export const writeStatements = () => {
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  for (const [name, asked] of texts) {
    writeFileSync(join(folder, `${name} ${process.pid}.json`), JSON.stringify([...asked]))
  }
}
