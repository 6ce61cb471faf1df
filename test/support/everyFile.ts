/**
 * What holds for every test file: files of one worker share its modules and globals.
 */
import { afterAll, afterEach, vi } from 'vitest'
import { writeStatements } from './statements.js'

// Tests may put a clock of their own in its place.
const { setImmediate } = globalThis

// Calls of a synchronous engine go on by promises alone, so else a file could run for a minute without a turn of the event loop,
// and Vitest takes a worker for dead that does not answer by then.
afterEach(() => new Promise<void>((resume) => setImmediate(() => resume())))

afterAll(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  writeStatements()
})
