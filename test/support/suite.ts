/**
 * One suite, every layer: each test gets a fresh subject on a database of its own.
 */
import { afterEach, beforeEach, describe } from 'vitest'
import type { Subject, SubjectName } from './subjectType.js'
import { openSubject, overBatches, selectedSubjects } from './subjects.js'

type Declare = (subject: () => Subject) => void

const declareOn = (subjects: ReadonlyArray<SubjectName>, name: string, declare: Declare) =>
  describe.each(subjects)(`${name} · %s`, (subjectName) => {
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
