/**
 * Folders outside the tree for a whole test run, where slow things are made once and shared by all test files.
 *
 * Set `OR3_E2E_DIR` to a folder to keep what is made in `workDir`, and to work on the tests without making it each time. What is kept
 * does not follow changes of the source: delete it then. What is quick to make goes into `runDir`, which never outlives a run.
 */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    workDir: string
    runDir: string
  }
}

const newPlace = () => join(tmpdir(), `or3-provider-sqlite-${randomUUID()}`)

export default (project: TestProject) => {
  const kept = process.env.OR3_E2E_DIR
  const [dir, runDir] = [kept ?? newPlace(), newPlace()]
  const remove = (folder: string) => rmSync(folder, { recursive: true, force: true })
  project.provide('workDir', dir)
  project.provide('runDir', runDir)
  // While Vitest watches, the source has changed.
  project.onTestsRerun(() => remove(runDir))
  return () => {
    remove(runDir)
    if (kept === undefined) remove(dir)
  }
}
