/**
 * The statements of background jobs. Changes say themselves when they apply, by the rules of `services/jobRules.ts`.
 */
import { statement } from './batch.js'
import { isErased } from './purgeSql.js'

/** Jobs or pieces of content removed in one step. */
export const stepSize = 500

/** Characters of content at which a step ends too. */
const stepLength = 4 * 1024 * 1024

const columns = `id, user_id, thread_id, message_id, model, kind, status, chunks_received, started_at, last_activity_at,
  completed_at, error, lease_owner, lease_expires_at, attempts, high_surrogate`

const streaming = `FROM jobs INDEXED BY jobs_streaming WHERE completed_at IS NULL`

const isLive = `(last_activity_at >= :now - :timeout OR coalesce(lease_expires_at, 0) > :now)`

/** Of all users, and of one. */
const counts = `
  SELECT count(*) AS server, coalesce(sum(user_id = :userId), 0) AS user ${streaming} AND ${isLive}`

/** Without an owner, whoever has its lease. */
const mayChange = `id = :id AND status = 'streaming' AND (:owner IS NULL OR lease_owner = :owner)`

const isVisible = `id = :id AND (:userId = '*' OR user_id = :userId)`

const isClaimable = `status = 'streaming' AND has_execution = 1 AND coalesce(lease_expires_at, 0) <= :now`

/** As `joined` of `services/jobRules.ts`, since what the last chunk ended with is known here alone. */
const joined = `
  CASE WHEN high_surrogate IS NULL AND :low IS NULL THEN ''
    WHEN high_surrogate IS NULL OR :low IS NULL THEN char(${0xfffd})
    ELSE char(${0x10000} + (high_surrogate - ${0xd800}) * 1024 + :low - ${0xdc00}) END || :text`

/** What belongs to the job that some subquery names. */
const belongings = (job: string) => ({
  documents: statement(`
    SELECT name, json FROM job_documents INDEXED BY sqlite_autoindex_job_documents_1 WHERE job_id = (${job})`),
  pieces: statement(`
    SELECT text FROM job_chunks INDEXED BY sqlite_autoindex_job_chunks_1 WHERE job_id = (${job}) ORDER BY seq`),
})

/** The job that some subquery names, as it is when its lease has begun. What belongs to it is read before, while it is claimable. */
const claims = (job: string) => ({
  ...belongings(job),
  take: statement(`
    UPDATE jobs INDEXED BY sqlite_autoindex_jobs_1
    SET lease_owner = :owner, lease_expires_at = :leaseExpiresAt, last_activity_at = :now, attempts = attempts + 1
    WHERE id = (${job}) RETURNING ${columns}`),
})

/** Those that ended too long ago, from the one that ended first: some, and as much content as a step may remove; always one. */
const expired = `
  SELECT id FROM (
    SELECT id, pieces, length, sum(pieces) OVER (ORDER BY completed_at, id) AS allPieces,
      sum(length) OVER (ORDER BY completed_at, id) AS allLength
    FROM (
      SELECT id, completed_at, piece_count + 1 AS pieces, content_length AS length FROM jobs INDEXED BY jobs_ended
      WHERE completed_at < :endedBefore ORDER BY completed_at, id LIMIT ${stepSize}))
  WHERE allPieces - pieces < ${stepSize} AND allLength - length < ${stepLength}`

export const backgroundJobsSql = {
  byKey: statement(`
    SELECT id FROM jobs INDEXED BY jobs_by_key WHERE user_id = :userId AND idempotency_key = :idempotencyKey`),
  counts: statement(counts),
  erased: statement(`SELECT 1 AS erased WHERE ${isErased}`),
  /** Where the key is free, and the limits allow for one more; for nobody who was erased. */
  create: statement(`
    INSERT INTO jobs (id, user_id, thread_id, message_id, model, kind, status, content_length, piece_count, chunks_received,
      started_at, last_activity_at, idempotency_key, has_execution, attempts)
    SELECT :id, :userId, :threadId, :messageId, :model, :kind, 'streaming', 0, 0, 0, :now, :now, :idempotencyKey, :hasExecution, 0
    FROM (${counts}) AS live
    WHERE live.server < :maxConcurrentJobs AND live.user < :maxConcurrentJobsPerUser AND NOT ${isErased} AND NOT EXISTS (
      SELECT 1 FROM jobs INDEXED BY jobs_by_key WHERE user_id = :userId AND idempotency_key = :idempotencyKey)`),

  job: statement(`SELECT ${columns} FROM jobs WHERE ${isVisible}`),
  ofVisible: belongings(`SELECT id FROM jobs WHERE ${isVisible}`),

  /** What decides whether a change is made. */
  state: statement(`
    SELECT status, lease_owner AS leaseOwner, content_length AS contentLength FROM jobs WHERE id = :id`),
  setDocument: statement(`
    INSERT INTO job_documents (job_id, name, json) SELECT id, :name, :json FROM jobs WHERE ${mayChange} AND content_length <= :roomBefore
    ON CONFLICT (job_id, name) DO UPDATE SET json = excluded.json`),
  dropDocument: statement(`
    DELETE FROM job_documents INDEXED BY sqlite_autoindex_job_documents_1
    WHERE job_id = (SELECT id FROM jobs WHERE ${mayChange} AND content_length <= :roomBefore) AND name = :name`),
  /** Before the job's row counts it. */
  append: statement(`
    INSERT INTO job_chunks (job_id, seq, text)
    SELECT id, piece_count, ${joined} FROM jobs WHERE ${mayChange} AND content_length <= :roomBefore`),
  /** A further piece of a long chunk. */
  appendMore: statement(`
    INSERT INTO job_chunks (job_id, seq, text)
    SELECT id, piece_count + :place, :text FROM jobs WHERE ${mayChange} AND content_length <= :roomBefore`),
  update: statement(`
    UPDATE jobs SET content_length = content_length + :length, piece_count = piece_count + :pieces,
      high_surrogate = iif(:pieces > 0, :high, high_surrogate),
      chunks_received = coalesce(:chunksReceived, chunks_received), last_activity_at = :now
    WHERE ${mayChange} AND content_length <= :roomBefore`),

  dropContent: statement(`
    DELETE FROM job_chunks INDEXED BY sqlite_autoindex_job_chunks_1 WHERE job_id = (SELECT id FROM jobs WHERE ${mayChange})`),
  setContent: statement(
    `INSERT INTO job_chunks (job_id, seq, text) SELECT id, :place, :text FROM jobs WHERE ${mayChange}`,
  ),
  complete: statement(`
    UPDATE jobs SET status = 'complete', completed_at = :now, last_activity_at = :now, lease_owner = NULL, lease_expires_at = NULL,
      content_length = :length, piece_count = :pieces, high_surrogate = NULL
    WHERE ${mayChange}`),
  fail: statement(`
    UPDATE jobs SET status = 'error', completed_at = :now, last_activity_at = :now, lease_owner = NULL, lease_expires_at = NULL,
      error = :error
    WHERE ${mayChange}`),
  abort: statement(`
    UPDATE jobs SET status = 'aborted', completed_at = :now, last_activity_at = :now, lease_owner = NULL, lease_expires_at = NULL
    WHERE ${isVisible} AND status = 'streaming' RETURNING 1 AS aborted`),
  status: statement(`SELECT status FROM jobs WHERE id = :id`),

  claim: claims(`SELECT id FROM jobs WHERE id = :id AND ${isClaimable}`),
  claimNext: claims(`SELECT id ${streaming} AND ${isClaimable} ORDER BY started_at, id LIMIT 1`),
  renewLease: statement(`
    UPDATE jobs SET lease_expires_at = :leaseExpiresAt, last_activity_at = :now
    WHERE id = :id AND status = 'streaming' AND lease_owner = :owner RETURNING 1 AS renewed`),
  updateExecution: statement(`
    UPDATE jobs SET has_execution = :hasExecution, last_activity_at = :now
    WHERE id = :id AND status = 'streaming' AND lease_owner = :owner RETURNING 1 AS updated`),

  timeOut: statement(`
    UPDATE jobs INDEXED BY sqlite_autoindex_jobs_1 SET status = 'error', error = :error, completed_at = :now,
      last_activity_at = :now, lease_owner = NULL, lease_expires_at = NULL
    WHERE id IN (SELECT id ${streaming} AND NOT ${isLive} LIMIT ${stepSize}) RETURNING 1 AS ended`),
  dropExpiredContent: statement(`
    DELETE FROM job_chunks INDEXED BY sqlite_autoindex_job_chunks_1 WHERE job_id IN (${expired})`),
  dropExpiredDocuments: statement(`
    DELETE FROM job_documents INDEXED BY sqlite_autoindex_job_documents_1 WHERE job_id IN (${expired})`),
  dropExpired: statement(`
    DELETE FROM jobs INDEXED BY sqlite_autoindex_jobs_1 WHERE id IN (${expired}) RETURNING 1 AS dropped`),
  oneExpired: statement(`
    SELECT 1 AS expired FROM jobs INDEXED BY jobs_ended WHERE completed_at < :endedBefore LIMIT 1`),

  activeCount: statement(`SELECT count(*) AS active ${streaming}`),
}
