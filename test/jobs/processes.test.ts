/**
 * Background jobs of several processes on one file: who claims what, how many may be made, whose lease it is, and what a kill leaves.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeProcesses, type Started } from '../support/processes.js'
import { deep } from '../support/property.js'

const { folder, start } = makeProcesses()
let files = 0
const fresh = () => join(folder, `jobs-${++files}.db`)

/** Opens the file of `FILE`, with what is told of limits, and waits for the others. */
const opening = `
  import { writeSync } from 'node:fs'
  import { openProvider } from './src/nuxt/adapters.js'
  const say = (line) => writeSync(1, line + '\\n')
  const { FILE, NAME, LIMITS } = process.env
  const { backgroundJobProvider: jobs, close } = openProvider({
    env: { OR3_SQLITE_DB_PATH: FILE },
    getJobConfig: () => JSON.parse(LIMITS ?? '{}'),
  })
  const job = (userId) => ({ userId, threadId: 't', messageId: 'm', model: 'm', execution: { for: userId } })
  say('ready')
  await new Promise((resume) => process.stdin.once('data', resume))
  const end = async (told) => {
    await close()
    say(JSON.stringify(told))
    process.exit(0)
  }
`

const names = (count: number) => Array.from({ length: count }, (_, n) => `w${n}`)

/** What each process told when all of them ran the script at the same time. */
const together = async (count: number, script: string, env: Record<string, string>): Promise<Array<any>> => {
  const children = names(count).map((NAME) => start(opening + script, { ...env, NAME }))
  await Promise.all(children.map((child) => child.printed('ready')))
  for (const child of children) child.send('go')
  const outcomes = await Promise.all(children.map(({ outcome }) => outcome))
  for (const { code, stderr } of outcomes) expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return outcomes.map(({ stdout }) => JSON.parse(stdout.trim().split('\n').at(-1)!))
}

const limits = (most: number, perUser: number) =>
  JSON.stringify({ maxConcurrentJobs: most, maxConcurrentJobsPerUser: perUser })

describe.each(deep ? [2, 4] : [4])('%i processes', (count) => {
  it('claim each job of a pool once', async () => {
    const file = fresh()
    const { backgroundJobProvider: jobs, close } = openProvider({
      env: { OR3_SQLITE_DB_PATH: file },
      getJobConfig: () => ({ maxConcurrentJobs: 1_000, maxConcurrentJobsPerUser: 1_000 }),
    })
    const made: Array<string> = []
    for (let n = 0; n < 200; n++) {
      const id = await jobs.createJob({
        ...{ userId: 'u', threadId: 't', messageId: 'm', model: 'm', execution: n },
      })
      await jobs.updateJob(id, { contentChunk: `content of ${n}` })
      made.push(id)
    }
    const told = await together(
      count,
      `
      const taken = []
      for (;;) {
        const job = await jobs.claimNextJob(NAME, Date.now(), Date.now() + 600_000)
        if (job === null) break
        if (job.content !== 'content of ' + job.execution) throw new Error('the content of another job')
        if (job.leaseOwner !== NAME || job.attempts !== 1) throw new Error('the lease of somebody else')
        taken.push(job.id)
        if (taken.length % 2) await jobs.completeJob(job.id, 'done by ' + NAME, NAME)
        else await jobs.updateJob(job.id, { contentChunk: 'held by ' + NAME, leaseOwner: NAME })
      }
      await end(taken)`,
      { FILE: file },
    )
    expect(told.flat().sort()).toEqual([...made].sort())
    // Else nobody has met anybody.
    for (const taken of told) expect(taken.length).toBeGreaterThan(0)
    for (const [worker, taken] of told.entries()) {
      for (const id of taken) {
        const { content, attempts } = (await jobs.getJob(id, '*'))!
        expect(content).toMatch(new RegExp(`(done|held) by w${worker}$`))
        expect(attempts).toBe(1)
      }
    }
    await close()
  }, 60_000)

  it('never make more jobs than there may be', async () => {
    const file = fresh()
    const told = await together(
      count,
      `
      let made = 0
      let refused = 0
      for (let n = 0; n < 60; n++) {
        try {
          await jobs.createJob(job('u' + (n % 5)))
          made++
        } catch (error) {
          if (error.statusCode !== 429) throw error
          refused++
        }
      }
      await end({ made, refused })`,
      { FILE: file, LIMITS: limits(17, 4) },
    )
    expect(told.reduce((sum, { made }) => sum + made, 0)).toBe(17)
    expect(told.every(({ refused }) => refused > 0)).toBe(true)
    const perUser = new Sqlite(file, { readonly: true })
      .prepare<[], number>('SELECT count(*) FROM jobs GROUP BY user_id')
      .pluck()
      .all()
    expect(perUser.reduce((sum, n) => sum + n)).toBe(17)
    expect(Math.max(...perUser)).toBe(4)
  }, 60_000)

  it('make one job of one key', async () => {
    const file = fresh()
    const told = await together(
      count,
      `
      const ids = []
      for (let n = 0; n < 50; n++) ids.push(await jobs.createJob({ ...job('u'), idempotencyKey: 'key' + n }))
      await end(ids)`,
      { FILE: file, LIMITS: limits(1_000, 1_000) },
    )
    expect(new Set(told.flat()).size).toBe(50)
    for (const ids of told) expect(ids).toEqual(told[0])
  }, 60_000)

  it('append to one job, each in its own order, and nothing is lost', async () => {
    const file = fresh()
    const told = await together(
      count,
      `
      const id = await jobs.createJob({ ...job('u'), idempotencyKey: 'shared' })
      for (let n = 0; n < 100; n++) await jobs.updateJob(id, { contentChunk: NAME + ':' + n + ';' })
      await end(id)`,
      { FILE: file },
    )
    const { backgroundJobProvider: jobs, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
    const pieces = (await jobs.getJob(told[0], '*'))!.content.split(';').slice(0, -1)
    await close()
    expect(pieces).toHaveLength(100 * count)
    for (const name of names(count)) {
      expect(pieces.filter((piece) => piece.startsWith(`${name}:`))).toEqual(
        Array.from({ length: 100 }, (_, n) => `${name}:${n}`),
      )
    }
  }, 60_000)

  it('pass leases on when they expire, and never hold a job together', async () => {
    const file = fresh()
    // Leases shorter than the work: each writes, as owner, into the job that it believes to be its own.
    const told = await together(
      count,
      `
      const id = await jobs.createJob({ ...job('u'), idempotencyKey: 'shared' })
      const told = { claims: 0, lost: 0 }
      const until = Date.now() + 1_500
      while (Date.now() < until) {
        const claimed = await jobs.claimJob(id, NAME, Date.now(), Date.now() + 4)
        if (claimed === null) {
          await new Promise((resume) => setTimeout(resume, 1))
          continue
        }
        told.claims++
        const mark = NAME + '#' + claimed.attempts
        try {
          for (let n = 0; n < 8; n++) {
            await jobs.updateJob(id, { contentChunk: mark + ';', leaseOwner: NAME })
            await new Promise((resume) => setTimeout(resume, Math.random() * 2))
          }
        } catch (error) {
          if (error.name !== 'BackgroundJobLeaseLostError') throw error
          told.lost++
        }
      }
      await end({ ...told, id })`,
      { FILE: file },
    )
    const { backgroundJobProvider: jobs, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
    const { content, attempts } = (await jobs.getJob(told[0].id, '*'))!
    await close()
    expect(attempts).toBe(told.reduce((sum, { claims }) => sum + claims, 0))
    expect(told.filter(({ claims }) => claims > 0).length).toBeGreaterThan(1)
    expect(told.reduce((sum, { lost }) => sum + lost, 0)).toBeGreaterThan(0)
    // Nobody writes after somebody else has claimed: the numbers of the claims only rise.
    const claims = content
      .split(';')
      .slice(0, -1)
      .map((mark) => Number(mark.split('#')[1]))
    expect(claims).toEqual([...claims].sort((a, b) => a - b))
    expect(claims.length).toBeGreaterThan(0)
  }, 60_000)
})

it('a process that is killed while it appends leaves a prefix, and another one goes on', async () => {
  const file = fresh()
  let id = ''
  let written = 0
  const pieces = (content: string) => content.split(';').slice(0, -1).map(Number)
  for (let round = 0; round < 4; round++) {
    const child: Started = start(
      `${opening}
      const id = await jobs.createJob({ ...job('u'), idempotencyKey: 'shared' })
      await jobs.claimJob(id, NAME, 1, 1)
      say('id ' + id)
      for (let n = Number(process.env.FROM); ; n++) {
        await jobs.updateJob(id, { contentChunk: n + ';', chunksReceived: n + 1, leaseOwner: NAME })
        say('wrote ' + n)
      }`,
      { FILE: file, NAME: `w${round}`, FROM: String(written) },
    )
    await child.printed('ready')
    child.send('go')
    await child.printed(`wrote ${written + 20}`)
    await sleep(Math.random() * 30)
    child.stop('SIGKILL')
    await child.outcome
    const lines = child.output().split('\n').slice(0, -1)
    id = lines.find((line) => line.startsWith('id '))!.slice(3)
    const acknowledged = lines.filter((line) => line.startsWith('wrote ')).length + written
    const { backgroundJobProvider: jobs, close } = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
    const job = (await jobs.getJob(id, '*'))!
    await close()
    const found = pieces(job.content)
    expect(found).toEqual(Array.from({ length: found.length }, (_, n) => n))
    expect(job.chunksReceived).toBe(found.length)
    expect([acknowledged, acknowledged + 1]).toContain(found.length)
    expect(job.attempts).toBe(round + 1)
    written = found.length
  }
}, 60_000)

it('a clean-up of 100,000 jobs lets another process append in between', async () => {
  const file = fresh()
  const env = { OR3_SQLITE_DB_PATH: file }
  const { backgroundJobProvider: jobs, close } = openProvider({ env })
  const id = await jobs.createJob({ ...{ userId: 'u', threadId: 't', messageId: 'm', model: 'm' } })
  const database = new Sqlite(file)
  database.exec(`
    WITH RECURSIVE numbers(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < 100000)
    INSERT INTO jobs (id, user_id, thread_id, message_id, model, status, content_length, piece_count, chunks_received, started_at,
      last_activity_at, completed_at, has_execution, attempts)
    SELECT 'old' || value, 'u', 't', 'm', 'm', iif(value % 2, 'complete', 'streaming'), 20, 2, 2, value, value,
      iif(value % 2, value, NULL), 1, 0
    FROM numbers;
    INSERT INTO job_chunks SELECT id, 0, 'some piece' FROM jobs WHERE piece_count = 2;
    INSERT INTO job_chunks SELECT id, 1, 'more of it' FROM jobs WHERE piece_count = 2;
    INSERT INTO job_documents SELECT id, 'execution', '{}' FROM jobs WHERE piece_count = 2`)
  const child = start(
    `${opening}
    const count = await jobs.cleanupExpired()
    await end(count)`,
    { FILE: file, NAME: 'w' },
  )
  await child.printed('ready')
  child.send('go')
  let longest = 0
  let appended = 0
  let ended = false
  void child.outcome.then(() => (ended = true))
  while (!ended) {
    const began = performance.now()
    await jobs.updateJob(id, { contentChunk: 'x' })
    longest = Math.max(longest, performance.now() - began)
    appended++
    await sleep(2)
  }
  const { stdout, code } = await child.outcome
  expect(code).toBe(0)
  expect(Number(stdout.trim().split('\n').at(-1))).toBe(100_000)
  expect(appended).toBeGreaterThan(50)
  expect(longest).toBeLessThan(2_000)
  // Those that timed out now are kept for a while.
  const counts = (sql: string) => database.prepare(sql).pluck().get()
  expect(counts('SELECT count(*) FROM jobs')).toBe(50_001)
  expect(counts(`SELECT count(*) FROM job_chunks WHERE job_id LIKE 'old%'`)).toBe(100_000)
  expect(counts('SELECT count(*) FROM job_documents')).toBe(50_000)
  database.close()
  await close()
}, 120_000)
