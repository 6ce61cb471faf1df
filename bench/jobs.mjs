/**
 * Background jobs beside hand-written statements on a copy of the file: a chunk more of short and of long content, and the next job
 * for a worker.
 */
import { copyFileSync } from 'node:fs'
import { Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'

const chunk = 'x'.repeat(2_048)
/** Content is let grow by a tenth, and then cut back. */
const spare = 0.1

/** The same by prepared statements. */
const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('synchronous = NORMAL')
  database.pragma('foreign_keys = ON')
  database.pragma('cache_size = -65536')
  const insert = database.prepare(
    `INSERT INTO job_chunks (job_id, seq, text) SELECT id, piece_count, ? FROM jobs WHERE id = ? AND status = 'streaming'`,
  )
  const count = database.prepare(
    `UPDATE jobs SET content_length = content_length + ?, piece_count = piece_count + 1, chunks_received = ?,
       last_activity_at = ?
     WHERE id = ? AND status = 'streaming'`,
  )
  const append = database.transaction((id, text, received) => {
    insert.run(text, id)
    count.run(text.length, received, Date.now(), id)
  })
  const next = database.prepare(
    `SELECT id FROM jobs WHERE completed_at IS NULL AND status = 'streaming' AND has_execution = 1
       AND coalesce(lease_expires_at, 0) <= ? ORDER BY started_at, id LIMIT 1`,
  )
  const take = database.prepare(
    `UPDATE jobs SET lease_owner = ?, lease_expires_at = ?, last_activity_at = ?, attempts = attempts + 1 WHERE id = ?
     RETURNING *`,
  )
  const documents = database.prepare(`SELECT name, json FROM job_documents WHERE job_id = ?`)
  const pieces = database.prepare(`SELECT text FROM job_chunks WHERE job_id = ? ORDER BY seq`).pluck()
  const claimNext = database.transaction((owner, now, expiresAt) => {
    const found = next.get(now)
    if (found === undefined) return undefined
    const job = take.get(owner, expiresAt, now, found.id)
    for (const { name, json } of documents.all(found.id)) job[name] = JSON.parse(json)
    return { ...job, content: pieces.all(found.id).join('') }
  })
  return {
    append: (...args) => append.immediate(...args),
    claimNext: (...args) => claimNext.immediate(...args),
    close: () => database.close(),
  }
}

export const openJobs = async (file) => {
  const unlimited = { maxConcurrentJobs: 1_000, maxConcurrentJobsPerUser: 1_000 }
  const open = () => openProvider({ env: { OR3_SQLITE_DB_PATH: file }, getJobConfig: () => unlimited })
  let provider = open()
  let jobs = provider.backgroundJobProvider
  const job = { threadId: 't', messageId: 'm', model: 'm' }
  const sizes = { short: 10_000, long: 5_000_000 }
  const ids = {}
  for (const [name, size] of Object.entries(sizes)) {
    ids[name] = await jobs.createJob({ ...job, userId: name })
    for (let length = 0; length < size; length += chunk.length) {
      await jobs.updateJob(ids[name], { contentChunk: chunk })
    }
  }
  for (let n = 0; n < 20; n++) {
    const id = await jobs.createJob({ ...job, userId: `user${n}`, execution: { step: n, messages: [chunk] } })
    for (let part = 0; part < 5; part++) await jobs.updateJob(id, { contentChunk: chunk })
  }
  await provider.close()
  const copy = `${file}-copy`
  copyFileSync(file, copy)
  provider = open()
  jobs = provider.backgroundJobProvider
  const floor = openFloor(copy)
  const others = [file, copy].map((path) => new Sqlite(path))

  const append = (name) => jobs.updateJob(ids[name], { contentChunk: chunk, chunksReceived: 7 })
  const appendByHand = (name) => floor.append(ids[name], chunk, 7)
  const notice = () => {
    // Each notices now that another connection has written, and not while it is timed.
    void floor.claimNext('w', 0, 0)
    return jobs.claimJob('none', 'w', 0, 0)
  }
  /** Both as long as they were. */
  const cut = async () => {
    for (const other of others) {
      for (const [name, size] of Object.entries(sizes)) {
        const kept = Math.ceil(size / chunk.length)
        const { pieces } = other.prepare('SELECT piece_count AS pieces FROM jobs WHERE id = ?').get(ids[name])
        if (pieces <= kept * (1 + spare) + 5) continue
        other.prepare('DELETE FROM job_chunks WHERE job_id = ? AND seq >= ?').run(ids[name], kept)
        other
          .prepare('UPDATE jobs SET piece_count = ?, content_length = ? WHERE id = ?')
          .run(kept, kept * chunk.length, ids[name])
        await notice()
      }
    }
  }
  const now = Date.now()
  const workloads = [
    ...[
      ['short', '10 KB'],
      ['long', '5 MB'],
    ].map(([name, size]) => ({
      name: `jobs: 2 KB more at ${size}`,
      target: 2,
      rounds: 3_000,
      input: cut,
      ours: () => append(name),
      floor: () => appendByHand(name),
    })),
    {
      name: 'jobs: 2 KB more at 5 MB (ours) against 10 KB (floor)',
      target: 1.2,
      rounds: 3_000,
      input: cut,
      ours: () => append('long'),
      floor: () => append('short'),
    },
    {
      name: 'jobs: the next of 20',
      target: 2,
      rounds: 2_000,
      // All are free at that time.
      input: () => {},
      ours: () => jobs.claimNextJob('w', now, now),
      floor: () => floor.claimNext('w', now, now),
    },
  ]
  // Else there would be nothing to measure.
  const [mine, byHand] = [await jobs.claimNextJob('w', now, now), floor.claimNext('w', now, now)]
  if (mine.content !== byHand.content || mine.id !== byHand.id || mine.content.length < 10_000) {
    throw new Error('the floor answers otherwise than the package')
  }
  return {
    workloads,
    close: async () => {
      for (const database of [floor, ...others]) database.close()
      await provider.close()
    },
  }
}
