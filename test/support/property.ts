/**
 * How many cases a property runs, and with which seed.
 *
 * `npm run test:deep` runs a hundred times more. `TEST_SEED` repeats a run; a failure prints the seed and the shrunk case.
 */
import { FastCheck as fc } from 'effect'
import { isFar } from './subjectType.js'

/** Whether this is a deep run. */
export const deep = process.env.TEST_DEEP === 'true'

/** The number of cases: `usual`, or a hundred times as many in a deep run. */
const runs = (usual: number): number => (deep ? usual * 100 : usual)

const seed = process.env.TEST_SEED === undefined ? undefined : Number(process.env.TEST_SEED)

/** Options of a property: its number of cases, and the seed if one is given. */
export const cases = (usual: number): fc.Parameters<unknown> => ({
  numRuns: runs(usual),
  endOnFailure: deep,
  ...(seed === undefined ? {} : { seed }),
})

/** The same on a layer; a quarter of them where each takes many times as long as elsewhere. */
export const casesOn = (name: string, usual: number): fc.Parameters<unknown> =>
  cases(isFar(name) ? Math.ceil(usual / 4) : usual)

/** A test's time limit in milliseconds, by the same measure. */
export const patience = (usual: number): number => (deep ? usual * 100 : usual)

export { fc }
