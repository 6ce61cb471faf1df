/**
 * One folder outside the tree for a whole test run, where slow things are made once and shared by all test files.
 *
 * Set `OR3_E2E_DIR` to a folder to keep what is made, and to work on the tests without making it each time. What is kept does
 * not follow changes of the source: delete it then.
 */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    workDir: string
  }
}

export default ({ provide }: TestProject) => {
  const kept = process.env.OR3_E2E_DIR
  const dir = kept ?? join(tmpdir(), `or3-provider-sqlite-${randomUUID()}`)
  provide('workDir', dir)
  return () => {
    if (kept === undefined) rmSync(dir, { recursive: true, force: true })
  }
}
