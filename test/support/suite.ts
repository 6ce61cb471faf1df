/**
 * One suite, every layer: each test gets a fresh subject on a database of its own.
 */
import { afterEach, beforeEach, describe } from 'vitest'
import { deep } from './property.js'
import { recordedIn } from './statements.js'
import type { Subject, SubjectName } from './subjectType.js'
import { openSubject, overBatches, selectedSubjects } from './subjects.js'

type Declare = (subject: () => Subject) => void

/**
 * What a usual run drives in Bun too: of each folder the suites that have most of its statements. It runs the code of `adapters` on
 * another driver, which `test/unit/sqliteDrivers.test.ts` compares with Node's.
 */
const usualInBun: ReadonlySet<string> = new Set([
  ...['push', 'pull', 'snapshot', 'the workspace store', 'background jobs', 'rate limits', 'registrations'],
])

const far = ['turso', 'd1'] as const

/**
 * What a usual run does not drive on the engines behind a network, where each call takes ten times as long: rules above statements that
 * other suites run there. `statements.ts` holds a whole run to that.
 */
const notUsuallyOn: Readonly<Record<string, ReadonlyArray<SubjectName>>> = {
  validation: far,
  getOrCreateUser: far,
  permissions: far,
  invites: far,
  'names and descriptions': far,
  'many deliveries': far,
  // D1 has limits of its own.
  'large deliveries': ['turso'],
  // Processes share Turso's engine in the same file.
  'many fibers': ['turso'],
}

/** What they ask depends on chance, so nobody else can be held to it. */
const atRandom: ReadonlySet<string> = new Set(['many fibers'])

const usually = (name: string, subject: SubjectName) =>
  subject === 'bun' ? usualInBun.has(name) : notUsuallyOn[name]?.includes(subject) !== true

const declareOn = (subjects: ReadonlyArray<SubjectName>, name: string, declare: Declare) =>
  describe.each(
    process.env.TEST_LAYERS || deep ? subjects : subjects.filter((subject) => usually(name, subject)),
  )(`${name} · %s`, (subjectName) => {
    let current: Subject
    beforeEach(async () => {
      const open = () => openSubject(subjectName)
      current = await (atRandom.has(name) ? open() : recordedIn(open))
    })
    afterEach(() => current.close())
    declare(() => current)
  })

/** Declares the tests once per selected layer. `subject` is the current test's. */
export const suite = (name: string, declare: Declare) => declareOn(selectedSubjects(), name, declare)

/** The same of a service that is one implementation over batches: on SQLite it is what it is on `batches` and `adapters`. */
export const suiteOverBatches = (name: string, declare: Declare) =>
  declareOn(overBatches(selectedSubjects()), name, declare)
