/**
 * What the suites run over: the registry of subjects.
 */
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { Caller, SyncScope } from '../../src/services/index.js'
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

interface Request {
  readonly scope: SyncScope
  readonly caller?: Caller | undefined
}

/** The same subject for what syncs, whose workspaces have names of their own. */
const apart = (subject: Subject, suffix: string): Subject => {
  const named = (workspaceId: string) => `${workspaceId}${suffix}`
  const renamed = <A extends Request>(request: A): A => ({
    ...request,
    scope: { workspaceId: named(request.scope.workspaceId) },
    caller: request.caller && {
      ...request.caller,
      workspaceId: request.caller.workspaceId && named(request.caller.workspaceId),
    },
  })
  const { files } = subject
  return {
    ...subject,
    push: (request) => subject.push(renamed(request)),
    pull: (request) => subject.pull(renamed(request)),
    snapshot: async (request) => ({
      ...(await subject.snapshot(renamed(request))),
      workspaceId: request.scope.workspaceId,
    }),
    updateCursor: (request) => subject.updateCursor(renamed(request)),
    gcChangeLog: (request) => subject.gcChangeLog(renamed(request)),
    gcTombstones: (request) => subject.gcTombstones(renamed(request)),
    files: {
      query: (request) => files.query(renamed(request)),
      reserve: (request) => files.reserve(renamed(request)),
      consume: (request) => files.consume(renamed(request)),
      cancel: (request) => files.cancel(renamed(request)),
    },
    view: (workspaceId) => subject.view(named(workspaceId)),
  }
}

/**
 * For the cases of properties about what syncs: opens one subject for all tests of a `describe`, and runs each body on workspaces that
 * no other has seen. Opening takes longer than most cases do.
 */
export const freshWorkspaces = (name: SubjectName) => {
  let opened: Promise<Subject> | undefined
  let cases = 0
  afterAll(async () => (await opened)?.close())
  return async <A>(body: (subject: Subject) => Promise<A>): Promise<A> =>
    body(apart(await (opened ??= openSubject(name)), `-${++cases}`))
}
