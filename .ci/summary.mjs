// Prints the last line of a test run from vitest's JSON report, and fails when any test failed or none ran.
import { readFileSync } from 'node:fs'

const text = readFileSync(process.argv[2], 'utf8')
const {
  numPassedTests: passed = 0,
  numFailedTests: failed = 0,
  success = false,
} = text ? JSON.parse(text) : {}

console.log(`${passed} passed, ${failed} failed`)
process.exit(success && failed === 0 && passed > 0 ? 0 : 1)
