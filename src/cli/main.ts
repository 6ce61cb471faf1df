#!/usr/bin/env node
/**
 * The operator's command as a process.
 */
import { Effect } from 'effect'
import { command } from './command.js'

// A reader that goes away, as `head` does, is told by the write that fails.
process.stdout.on('error', () => {})

Effect.runPromise(command(process.argv)).then((code) => {
  process.exitCode = code
})
