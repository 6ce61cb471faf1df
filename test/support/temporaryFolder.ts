/**
 * A place for the files of a test.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder of its own, and the removal of it. */
export const temporaryFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'or3-sqlite-test-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
