/**
 * Background jobs at the edge: the host's limits, the error by which its workers know that a job is lost, and what is there while no
 * database is open.
 */
import { join } from 'node:path'
import { isError } from 'h3'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HostError, openProvider, type Provider, unopenedProvider } from '../../src/nuxt/adapters.js'
import { defaultJobLimits, type JobLimits } from '../../src/services/index.js'
import { limitsOf } from '../../src/services/jobRules.js'
import { temporaryFolder } from '../support/temporaryFolder.js'

const { folder, remove } = temporaryFolder()
afterAll(remove)

const start = 1_700_000_000_000
let files = 0
let config: () => Partial<JobLimits>
let provider: Provider
beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => {})
  vi.useFakeTimers({ toFake: ['Date'], now: start })
  config = () => ({})
  provider = openProvider({
    env: { OR3_SQLITE_DB_PATH: join(folder, `jobs-${++files}.db`) },
    getJobConfig: () => config(),
  })
})
afterEach(async () => {
  await provider.close()
  vi.useRealTimers()
  vi.restoreAllMocks()
})

const create = (userId = 'ann') =>
  provider.backgroundJobProvider.createJob({
    ...{ userId, threadId: 't', messageId: 'm', model: 'm', execution: {} },
  })

/** How many jobs of one user there may be. */
const room = async (userId: string) => {
  for (let made = 0; ; made++) {
    const error = await create(userId).then(
      () => undefined,
      (refusal: unknown) => refusal,
    )
    if (error === undefined) continue
    expect(error).toMatchObject({ statusCode: 429 })
    return made
  }
}

describe('the limits of the host', () => {
  it('are asked for at each call', async () => {
    config = () => ({ maxConcurrentJobsPerUser: 2 })
    expect(await room('ann')).toBe(2)
    config = () => ({ maxConcurrentJobsPerUser: 3 })
    expect(await room('ann')).toBe(1)
    config = () => ({ maxConcurrentJobs: 4, maxConcurrentJobsPerUser: 3 })
    expect(await room('bob')).toBe(1)
    config = () => ({ jobTimeoutMs: 10, maxConcurrentJobs: 4 })
    vi.setSystemTime(start + 11)
    expect(await room('cid')).toBe(4)
  })

  it('say when jobs are dead, and how long they are kept', async () => {
    config = () => ({ jobTimeoutMs: 10, completedJobRetentionMs: 20 })
    const { backgroundJobProvider: jobs } = provider
    const id = await create()
    vi.setSystemTime(start + 11)
    expect(await jobs.cleanupExpired()).toBe(1)
    expect(await jobs.getJob(id, 'ann')).toMatchObject({
      status: 'error',
      error: expect.stringMatching(/10 ms/),
    })
    vi.setSystemTime(start + 31)
    expect(await jobs.cleanupExpired()).toBe(0)
    vi.setSystemTime(start + 32)
    expect(await jobs.cleanupExpired()).toBe(1)
    expect(await jobs.getJob(id, 'ann')).toBeNull()
  })

  it.each<readonly [string, () => unknown]>([
    ['throws', () => expect.fail('no configuration')],
    ['is nothing', () => undefined],
    ['is junk', () => 'junk'],
    ['is a promise', () => Promise.resolve({ maxConcurrentJobsPerUser: 1 })],
  ])('are the defaults where the configuration %s', async (_how, given) => {
    config = given as typeof config
    expect(await room('ann')).toBe(5)
    expect(await provider.backgroundJobProvider.cleanupExpired()).toBe(0)
  })

  it('are the defaults one by one', () => {
    for (const junk of [undefined, null, '5', -1, Number.NaN, 5n, {}, () => 5]) {
      expect(limitsOf({ maxConcurrentJobs: junk, jobTimeoutMs: 7 })).toEqual({
        ...defaultJobLimits,
        jobTimeoutMs: 7,
      })
    }
    const throwing = Object.defineProperty({ maxConcurrentJobs: 3 }, 'jobTimeoutMs', {
      get: () => expect.fail('hostile'),
    })
    expect(limitsOf(throwing)).toEqual({ ...defaultJobLimits, maxConcurrentJobs: 3 })
    expect(limitsOf({ maxConcurrentJobs: Infinity, maxConcurrentJobsPerUser: 2.9, jobTimeoutMs: 0 })).toEqual(
      {
        ...{ maxConcurrentJobs: Number.MAX_SAFE_INTEGER, maxConcurrentJobsPerUser: 2, jobTimeoutMs: 0 },
        completedJobRetentionMs: 300_000,
      },
    )
  })

  it('may be none at all, or without end', async () => {
    config = () => ({ maxConcurrentJobs: 0 })
    expect(await room('ann')).toBe(0)
    config = () => ({ maxConcurrentJobs: Infinity, maxConcurrentJobsPerUser: 30, jobTimeoutMs: Infinity })
    expect(await room('ann')).toBe(30)
    expect(await provider.backgroundJobProvider.cleanupExpired()).toBe(0)
  })
})

it('a lost lease is an error of its own name, which h3 answers with 409', async () => {
  const { backgroundJobProvider: jobs } = provider
  const id = await create()
  for (const call of [
    () => jobs.updateJob(id, { contentChunk: 'x', leaseOwner: 'w' }),
    () => jobs.completeJob(id, 'x', 'w'),
    () => jobs.failJob(id, 'x', 'w'),
  ]) {
    const error: unknown = await call().catch((refusal: unknown) => refusal)
    expect(error).toBeInstanceOf(HostError)
    expect(isError(error)).toBe(true)
    expect(error).toMatchObject({ name: 'BackgroundJobLeaseLostError', statusCode: 409 })
  }
  const other: unknown = await jobs.getJob('', '*').catch((refusal: unknown) => refusal)
  expect(other).toMatchObject({ name: 'HostError', statusCode: 400 })
})

it('after closing, and while no database is open, every call is refused', async () => {
  await provider.close()
  for (const { backgroundJobProvider: jobs } of [provider, unopenedProvider()]) {
    expect(jobs.name).toBe('sqlite')
    expect(jobs.getAbortController('id')).toBeUndefined()
    await expect(jobs.getActiveJobCount()).rejects.toMatchObject({ statusCode: 503 })
    await expect(jobs.claimNextJob('w', 1, 2)).rejects.toMatchObject({ statusCode: 503 })
    await expect(jobs.updateJob('id', {})).rejects.toMatchObject({ statusCode: 503 })
  }
})
