/**
 * Lets the event loop turn between tests. Calls of a synchronous engine go on by promises alone, so else a file could run for
 * a minute without a turn, and Vitest takes a worker for dead that does not answer by then.
 */
import { afterEach } from 'vitest'

// Tests may put a clock of their own in its place.
const { setImmediate } = globalThis

afterEach(() => new Promise<void>((resume) => setImmediate(() => resume())))
