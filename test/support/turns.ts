/**
 * Lets the event loop turn between tests, and between the cases of a property. Calls of a synchronous engine go on by promises
 * alone, so else a file could run for a minute without a turn, and Vitest takes a worker for dead that does not answer by then.
 */
import { afterEach } from 'vitest'
import { fc } from './property.js'

const { setImmediate } = globalThis
const turn = () => new Promise<void>((resume) => setImmediate(() => resume()))

afterEach(turn)
fc.configureGlobal({ ...fc.readConfigureGlobal(), asyncBeforeEach: turn })
