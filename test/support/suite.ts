/**
 * One suite, every layer: each test gets a fresh subject on a database of its own.
 */
import { afterEach, beforeEach, describe } from 'vitest'
import type { Subject } from './subjectType.js'
import { openSubject, selectedSubjects } from './subjects.js'

/** Declares the tests once per selected layer. `subject` is the current test's. */
export const suite = (name: string, declare: (subject: () => Subject) => void) =>
  describe.each(selectedSubjects())(`${name} · %s`, (subjectName) => {
    let current: Subject
    beforeEach(async () => {
      current = await openSubject(subjectName)
    })
    afterEach(() => current.close())
    declare(() => current)
  })
