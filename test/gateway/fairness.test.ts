/**
 * A large push is one transaction, but what need not be in it gives others their turn.
 */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { put, scope } from '../support/ops.js'
import { subjectOnFile } from '../support/layerSubjects.js'
import type { Subject } from '../support/subjectType.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

let subject: Subject
let cleanUp: () => void

beforeEach(async () => {
  const { folder, remove } = temporaryFolder()
  cleanUp = remove
  subject = await subjectOnFile(join(folder, 'fairness.db'))
})
afterEach(async () => {
  await subject.close()
  cleanUp()
})

const batch = (size: number, text: string) => ({
  ...scope(),
  ops: Array.from({ length: size }, (_, index) =>
    put({ pk: `pk${index}`, payload: { id: `pk${index}`, text } }),
  ),
})

it.each([
  [1_000, 1_000],
  [12, 200_000],
])('a pull is answered while a push of %i ops of %i bytes is being checked', async (size, bytes) => {
  const answered: Array<string> = []
  const push = subject.push(batch(size, 'x'.repeat(bytes))).then(({ verdicts, serverVersion }) => {
    answered.push('push')
    expect(verdicts.every(({ kind }) => kind === 'applied')).toBe(true)
    expect(serverVersion).toBe(size)
  })
  await turn()
  expect((await subject.pull({ ...scope(), cursor: 0 })).changes).toEqual([])
  answered.push('pull')
  await push
  expect(answered).toEqual(['pull', 'push'])
})
