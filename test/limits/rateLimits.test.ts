/**
 * Issue 16, point 3: fixed windows per key, over every layer.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cases, fc } from '../support/property.js'
import { propertySubjects, withSubject } from '../support/subjects.js'
import { suiteOverBatches } from '../support/suite.js'

const minute = 60_000
const start = 1_790_000_000_000

beforeEach(() => vi.useFakeTimers({ toFake: ['Date'], now: start }))
afterEach(() => vi.useRealTimers())

const wait = (millis: number) => vi.setSystemTime(Date.now() + millis)

suiteOverBatches('rate limits', (subject) => {
  const limit = (maxRequests: number, windowMs = minute) => ({ windowMs, maxRequests })
  const check = (key: string, config = limit(3)) =>
    subject().host.rateLimitProvider.checkAndRecord(key, config)
  const stats = (key: string, config = limit(3)) => subject().host.rateLimitProvider.getStats(key, config)
  const times = async (count: number, key: string, config = limit(3)) => {
    const verdicts = []
    for (let n = 0; n < count; n++) verdicts.push(await check(key, config))
    return verdicts
  }

  it('is the provider that the host knows as sqlite', () => {
    expect(subject().host.rateLimitProvider.name).toBe('sqlite')
  })

  it('allows as many requests as the limit says, and then none until the window ends', async () => {
    expect(await times(3, 'k')).toEqual([
      { allowed: true, remaining: 2 },
      { allowed: true, remaining: 1 },
      { allowed: true, remaining: 0 },
    ])
    wait(20_000)
    expect(await check('k')).toEqual({ allowed: false, remaining: 0, retryAfterMs: 40_000 })
  })

  it('begins a window with its first request, and a new one with the first after its end', async () => {
    await times(3, 'k')
    wait(minute - 1)
    expect(await check('k')).toEqual({ allowed: false, remaining: 0, retryAfterMs: 1 })
    wait(1)
    expect(await check('k')).toEqual({ allowed: true, remaining: 2 })
    wait(30_000)
    expect(await stats('k')).toEqual({ limit: 3, remaining: 2, resetMs: 30_000 })
  })

  it('does not count what it refuses', async () => {
    await times(10, 'k')
    expect(await stats('k')).toEqual({ limit: 3, remaining: 0, resetMs: minute })
    expect(await stats('k', limit(5))).toMatchObject({ remaining: 2 })
  })

  it('keeps keys apart, however alike', async () => {
    await times(3, 'k')
    for (const key of ['K', 'k ', ' k', 'kk', 'ķ']) {
      expect(await check(key), key).toEqual({ allowed: true, remaining: 2 })
    }
  })

  it.each([1, 7, 8, 9, 16, 63, 64, 65, 200, 1_000])('counts exactly for one server: %i', async (max) => {
    const verdicts = await times(max + 3, 'k', limit(max))
    expect(verdicts.map(({ allowed }) => allowed)).toEqual(verdicts.map((_, index) => index < max))
    expect(verdicts.map(({ remaining }) => remaining)).toEqual(
      verdicts.map((_, index) => Math.max(0, max - index - 1)),
    )
  })

  it('counts requests that come at once', async () => {
    const verdicts = await Promise.all(Array.from({ length: 60 }, () => check('k', limit(40))))
    expect(verdicts.filter(({ allowed }) => allowed)).toHaveLength(40)
  })

  it('follows a limit that is raised or lowered meanwhile', async () => {
    await times(3, 'k')
    expect(await check('k')).toMatchObject({ allowed: false })
    expect(await check('k', limit(5))).toEqual({ allowed: true, remaining: 1 })
    expect(await check('k', limit(2))).toMatchObject({ allowed: false })
    expect(await check('k', limit(5))).toEqual({ allowed: true, remaining: 0 })
  })

  it('allows nothing where nothing is allowed', async () => {
    expect(await check('k', limit(0))).toEqual({ allowed: false, remaining: 0, retryAfterMs: minute })
  })

  it('tells of no window where there is none, or none any more, and makes none', async () => {
    expect(await stats('k')).toBeNull()
    await check('k')
    expect(await stats('k')).toEqual({ limit: 3, remaining: 2, resetMs: minute })
    wait(minute)
    expect(await stats('k')).toBeNull()
  })

  it('does not go on with a window from before the clock was set back', async () => {
    await times(3, 'k')
    wait(-24 * 60 * minute)
    expect(await check('k')).toEqual({ allowed: true, remaining: 2 })
  })

  it.each([
    ['an empty key', '', limit(1)],
    ['a key of more than a mebi of characters', 'k'.repeat(2 ** 20 + 1), limit(1)],
    ['a long key with a NUL', `${'k'.repeat(2_000)}\0`, limit(1)],
    ['a key with a NUL', 'a\0b', limit(1)],
    ['half a character', '\ud800', limit(1)],
    ['a key that is no text', 7, limit(1)],
    ['no window', 'k', { maxRequests: 1 }],
    ['an empty window', 'k', limit(1, 0)],
    ['a window of more than 366 days', 'k', limit(1, 366 * 86_400_000 + 1)],
    ['a limit below none', 'k', limit(-1)],
    ['a broken limit', 'k', limit(0.5)],
    ['no limit', 'k', { windowMs: 1 }],
    ['nothing', 'k', null],
    [
      'what cannot be read',
      'k',
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no')
          },
        },
      ),
    ],
  ])('refuses %s with 400', async (_what, key, config) => {
    await expect(check(key as string, config as never)).rejects.toMatchObject({ status: 400 })
    await expect(stats(key as string, config as never)).rejects.toMatchObject({ status: 400 })
  })

  it('takes longer keys too, each of which is its own', async () => {
    const long = '\u{1f511}'.repeat(2_000)
    const keys = [
      ...[
        long,
        `${long}a`,
        `${long}b`,
        `x${long}`,
        long.slice(0, 1_024),
        long.slice(0, 1_026),
        'k'.repeat(1_025),
      ],
      ...['k'.repeat(1_024), 'k'.repeat(2 ** 20)],
    ]
    for (const key of keys) {
      expect(await check(key)).toEqual({ allowed: true, remaining: 2 })
      expect(await stats(key)).toMatchObject({ limit: 3, remaining: 2 })
    }
    expect(await check(long)).toEqual({ allowed: true, remaining: 1 })
  })

  it('rounds a broken window up', async () => {
    expect(await check('k', limit(1, 0.2))).toMatchObject({ allowed: true })
    expect(await check('k', limit(1, 0.2))).toMatchObject({ allowed: false, retryAfterMs: 1 })
    expect(await check('l', limit(1, 1.5))).toMatchObject({ allowed: true })
    expect(await check('l', limit(1, 1.5))).toMatchObject({ allowed: false, retryAfterMs: 2 })
  })

  it('takes a key of 1,024 characters of any script', async () => {
    const key = '\u{1f511}é'.repeat(341)
    expect(await times(4, key)).toMatchObject([{}, {}, {}, { allowed: false }])
  })
})

describe('rate limits under random calls', () => {
  it.each(propertySubjects())('count as the model does: %s', async (name) => {
    const call = fc.record({
      key: fc.constantFrom('a', 'b'),
      max: fc.constantFrom(1, 5, 20, 100),
      count: fc.integer({ min: 1, max: 60 }),
      // Set back a little, a clock may bring a window back whose permits were given up.
      pause: fc.constantFrom(0, 0, 1, 5_000, minute - 1, minute, -10 * minute),
    })
    await withSubject(name, async ({ host: { rateLimitProvider } }) => {
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(call, { maxLength: 30, size: 'max' }), async (calls) => {
          run += 1
          await withSubject('memory', async ({ host: { rateLimitProvider: model } }) => {
            for (const { key, max, count, pause } of calls) {
              wait(pause)
              const config = { windowMs: minute, maxRequests: max }
              for (let n = 0; n < count; n++) {
                const expected = await model.checkAndRecord(key, config)
                expect(await rateLimitProvider.checkAndRecord(`${run}-${key}`, config)).toEqual(expected)
              }
              expect(await rateLimitProvider.getStats(`${run}-${key}`, config)).toEqual(
                await model.getStats(key, config),
              )
            }
          })
        }),
        cases(20),
      )
    })
  })
})
