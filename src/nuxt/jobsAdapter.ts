/**
 * Background jobs as the host's promises.
 */
import type { Job, JobLimits } from '../services/BackgroundJobs.js'
import type { Run } from './calls.js'
import type { BackgroundJobProvider, GetJobConfig, HostJob } from './hostJobs.js'
import { readable } from './readable.js'

const toHostJob = (job: Job | null): HostJob | null => {
  if (job === null) return null
  const { toolCalls, workflowState, ...rest } = job
  return {
    ...rest,
    ...(toolCalls === undefined ? {} : { tool_calls: toolCalls }),
    ...(workflowState === undefined ? {} : { workflow_state: workflowState }),
  }
}

export const jobsAdapter = (
  run: Run,
  name: string,
  getJobConfig: GetJobConfig = () => ({}),
): BackgroundJobProvider => {
  /** A host whose configuration fails has the defaults. */
  const limits = (): Partial<JobLimits> => readable(getJobConfig)
  return {
    name,
    createJob: async (input) =>
      run(({ jobs }) =>
        jobs.create(
          readable(() => ({
            userId: input.userId,
            threadId: input.threadId,
            messageId: input.messageId,
            model: input.model,
            kind: input.kind,
            toolCalls: input.tool_calls,
            workflowState: input.workflow_state,
            execution: input.execution,
            idempotencyKey: input.idempotencyKey,
            limits: limits(),
          })),
        ),
      ),
    getJob: async (id, userId) => toHostJob(await run(({ jobs }) => jobs.get({ id, userId }))),
    updateJob: async (id, update) =>
      run(({ jobs }) =>
        jobs.update(
          readable(() => ({
            id,
            contentChunk: update.contentChunk,
            chunksReceived: update.chunksReceived,
            toolCalls: update.tool_calls,
            workflowState: update.workflow_state,
            leaseOwner: update.leaseOwner,
          })),
        ),
      ),
    completeJob: async (id, content, leaseOwner) =>
      run(({ jobs }) => jobs.complete({ id, content, leaseOwner })),
    failJob: async (id, error, leaseOwner) => run(({ jobs }) => jobs.fail({ id, error, leaseOwner })),
    abortJob: async (id, userId) => run(({ jobs }) => jobs.abort({ id, userId })),
    getAbortController: () => undefined,
    checkJobAborted: async (id) => run(({ jobs }) => jobs.isAborted({ id })),
    claimJob: async (id, owner, now, leaseExpiresAt) =>
      toHostJob(await run(({ jobs }) => jobs.claim({ id, owner, now, leaseExpiresAt }))),
    claimNextJob: async (owner, now, leaseExpiresAt) =>
      toHostJob(await run(({ jobs }) => jobs.claimNext({ owner, now, leaseExpiresAt }))),
    renewJobLease: async (id, owner, now, leaseExpiresAt) =>
      run(({ jobs }) => jobs.renewLease({ id, owner, now, leaseExpiresAt })),
    updateJobExecution: async (id, execution, owner) =>
      run(({ jobs }) => jobs.updateExecution({ id, execution, owner })),
    cleanupExpired: async () => run(({ jobs }) => jobs.cleanUp({ limits: limits() }), { takesLong: true }),
    getActiveJobCount: async () => run(({ jobs }) => jobs.activeCount),
  }
}
