/**
 * One suite, every layer: each test gets a fresh subject on a database of its own.
 */
import { afterEach, beforeEach, describe } from 'vitest'
import { deep } from './property.js'
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

const declareOn = (subjects: ReadonlyArray<SubjectName>, name: string, declare: Declare) =>
  describe.each(
    process.env.TEST_LAYERS || deep || usualInBun.has(name)
      ? subjects
      : subjects.filter((subject) => subject !== 'bun'),
  )(`${name} · %s`, (subjectName) => {
    let current: Subject
    beforeEach(async () => {
      current = await openSubject(subjectName)
    })
    afterEach(() => current.close())
    declare(() => current)
  })

/** Declares the tests once per selected layer. `subject` is the current test's. */
export const suite = (name: string, declare: Declare) => declareOn(selectedSubjects(), name, declare)

/** The same of a service that is one implementation over batches: on SQLite it is what it is on `batches` and `adapters`. */
export const suiteOverBatches = (name: string, declare: Declare) =>
  declareOn(overBatches(selectedSubjects()), name, declare)
