/**
 * What the suites run over: the registry of subjects.
 */
import { join } from 'node:path'
import { throughAdapters, throughBun } from './adapterSubject.js'
import { onD1 } from './d1Subjects.js'
import { committingEngine, onBatches, onSql, subjectInMemory } from './layerSubjects.js'
import { migratedFile } from './migratedFile.js'
import type { Subject, SubjectName } from './subjectType.js'
import { deep } from './property.js'
import { onTursoFile, onTursoServer } from './tursoSubjects.js'
import { temporaryFolder } from './temporaryFolder.js'

const openers: Record<SubjectName, () => Promise<Subject>> = {
  memory: subjectInMemory,
  'sqlite memory': () => onSql('sqlite memory', ':memory:'),
  'sqlite file': async () => {
    const { folder, remove } = temporaryFolder()
    return onSql('sqlite file', await migratedFile(join(folder, 'test.db')), remove)
  },
  batches: () => onBatches('batches', committingEngine),
  'turso file': onTursoFile,
  turso: onTursoServer,
  d1: onD1,
  adapters: throughAdapters,
  bun: throughBun,
}

const subjectNames = Object.keys(openers) as ReadonlyArray<SubjectName>

/** A fresh subject on a database of its own. A name that does not exist throws, so that no run can select nothing. */
export const openSubject = (name: SubjectName): Promise<Subject> => {
  if (!Object.hasOwn(openers, name)) {
    throw new Error(`no such layer: ${name}; there are ${subjectNames.join(', ')}`)
  }
  return openers[name]()
}

/** They run the statements of others on an engine like theirs: SQLite's in memory, and in libSQL's client. */
const likeOthers: ReadonlyArray<SubjectName> = ['sqlite memory', 'turso file']

/** The layers that a run covers: those that `TEST_LAYERS` lists, else all in a deep run, and in a usual one those that differ. */
export const selectedSubjects = (wanted = process.env.TEST_LAYERS): ReadonlyArray<SubjectName> => {
  if (wanted === undefined || wanted === '') {
    return deep ? subjectNames : subjectNames.filter((name) => !likeOthers.includes(name))
  }
  return wanted.split(',').map((name) => {
    if (!Object.hasOwn(openers, name)) {
      throw new Error(`no such layer: ${name}; there are ${subjectNames.join(', ')}`)
    }
    return name as SubjectName
  })
}

/**
 * Those of properties: over all when asked for, or in a deep run. Else not in other processes, where many cases take long, nor on
 * `sqlite file`, whose calls `adapters` makes too.
 */
export const propertySubjects = (): ReadonlyArray<SubjectName> =>
  process.env.TEST_LAYERS || deep
    ? selectedSubjects()
    : selectedSubjects().filter((name) => !['turso', 'd1', 'bun', 'sqlite file'].includes(name))

/** Without a file in this process, which runs what `batches` and `adapters` do, unless it is asked for. */
export const overBatches = (subjects: ReadonlyArray<SubjectName>): ReadonlyArray<SubjectName> =>
  process.env.TEST_LAYERS || deep ? subjects : subjects.filter((name) => name !== 'sqlite file')

/** Runs a body on a fresh subject and closes it. */
export const withSubject = async <A>(
  name: SubjectName,
  body: (subject: Subject) => Promise<A>,
): Promise<A> => {
  const subject = await openSubject(name)
  try {
    return await body(subject)
  } finally {
    await subject.close()
  }
}
