/**
 * One folder outside the tree for a whole test run, where slow things are made once and shared by all test files.
 *
 * Set `OR3_E2E_DIR` to keep the folder, and what was made in it, from one run to the next.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
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
  if (kept !== undefined) mkdirSync(kept, { recursive: true })
  const dir = kept ?? mkdtempSync(join(tmpdir(), 'or3-provider-sqlite-'))
  provide('workDir', dir)
  return () => {
    if (kept === undefined) rmSync(dir, { recursive: true, force: true })
  }
}
