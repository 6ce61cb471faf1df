/**
 * The workloads: for each a name, the target ratio, and how to set up, feed and call both contestants.
 *
 * `prepare` fills both databases alike; `input` makes what one timed call is given, the same for both contestants.
 */
import { randomUUID } from 'node:crypto'

const text = 'The quick brown fox jumps over the lazy dog. '.repeat(18)
let count = 0

/** A chat message of about 1 KB of JSON. */
const message = ({ pk = randomUUID(), clock = 1, table = 'messages', operation = 'put' } = {}) => {
  const index = ++count
  return {
    id: randomUUID(),
    tableName: table,
    operation,
    pk,
    ...(operation === 'put'
      ? {
          payload: {
            [table === 'file_meta' ? 'hash' : 'id']: pk,
            thread_id: 'thread-1',
            role: index % 2 ? 'user' : 'assistant',
            index,
            order_key: `a${index}`,
            data: { content: text, attachments: [] },
            clock,
            deleted: false,
            created_at: 1_767_225_600 + index,
            updated_at: 1_767_225_600 + index,
          },
        }
      : {}),
    stamp: {
      deviceId: 'device-1',
      opId: randomUUID(),
      hlc: `${(1_767_225_600_000 + index).toString(36).padStart(9, '0')}:000:bench001`,
      clock,
    },
    createdAt: 1_767_225_600_000,
    attempts: 0,
    status: 'pending',
  }
}

export const batch = (size, parts) => Array.from({ length: size }, () => message(parts))

const workspace = 'bench'

/** Pushes the same ops to both. */
export const fill = async ({ ours, floor }, ops, workspaceId = workspace) => {
  for (let start = 0; start < ops.length; start += 1_000) {
    const part = ops.slice(start, start + 1_000)
    await ours.push(workspaceId, part)
    floor.push(workspaceId, part)
  }
}

const pushOf = (name, target, rounds, input, prepare) => ({
  name,
  target,
  rounds,
  prepare,
  input,
  ours: (both, ops) => both.ours.push(workspace, ops),
  floor: (both, ops) => both.floor.push(workspace, ops),
})

/** A new version of known records: a clock higher or lower than what is there. */
const known = []
const knownBatch = (size, clock) =>
  Array.from({ length: size }, (_, index) => message({ pk: known[(count + index) % known.length], clock }))
const prepareKnown = async (both) => {
  const ops = batch(5_000, { clock: 1_000 })
  known.splice(0, known.length, ...ops.map(({ pk }) => pk))
  await fill(both, ops)
}

const mixedBatch = (size) =>
  Array.from({ length: size }, (_, index) => {
    const pk = known[(count * 7 + index) % known.length]
    if (index % 10 === 0) return message({ pk, operation: 'delete', clock: 5_000 + count })
    if (index % 3 === 0) return message({ pk, clock: 5_000 + count })
    if (index % 5 === 0) return message({ pk, clock: 1 })
    return message({ table: index % 2 ? 'messages' : 'threads' })
  })

let cursor = 0
const pullOf = (name, target, rounds, limit, logLength) => ({
  name,
  target,
  rounds,
  input: () => (cursor = (cursor + limit) % (logLength - limit)),
  ours: (both, from) => both.ours.pull(workspace, from, limit),
  floor: (both, from) => both.floor.pull(workspace, from, limit),
})

const session = (name, call, floorCall) => ({
  name,
  target: 2.5,
  rounds: 3_000,
  input: () => undefined,
  ours: call,
  floor: floorCall,
})

let replay = []
let reported = 0

export const workloads = [
  pushOf('push, fresh, 100 ops', 1.15, 150, () => batch(100)),
  pushOf('push, fresh, 1,000 ops', 1.15, 15, () => batch(1_000)),
  pushOf('push, fresh, 1 op', 1.4, 2_000, () => batch(1)),
  pushOf('push, mixed, 100 ops', 1.15, 100, () => mixedBatch(100), prepareKnown),
  pushOf('push, mixed, 1,000 ops', 1.15, 12, () => mixedBatch(1_000), prepareKnown),
  pushOf('push, winning, 100 ops', undefined, 80, () => knownBatch(100, 2_000 + count), prepareKnown),
  pushOf('push, losing, 100 ops', undefined, 80, () => knownBatch(100, 1), prepareKnown),
  pushOf(
    'push, deletes, 100 ops',
    undefined,
    80,
    () =>
      Array.from({ length: 100 }, (_, i) =>
        message({ pk: known[(count + i) % known.length], operation: 'delete', clock: 1e6 + count }),
      ),
    prepareKnown,
  ),
  pushOf(
    'replay, 100 ops',
    1.5,
    300,
    () => replay,
    async (both) => {
      replay = batch(100)
      await fill(both, replay)
    },
  ),
  pullOf('pull, limit 1,000', 1.1, 60, 1_000, 20_000),
  pullOf('pull, limit 100', 1.1, 500, 100, 20_000),
  {
    name: 'poll, nothing new',
    target: 4,
    rounds: 3_000,
    input: () => Number.MAX_SAFE_INTEGER,
    ours: (both, from) => both.ours.pull(workspace, from, 100),
    floor: (both, from) => both.floor.pull(workspace, from, 100),
  },
  {
    name: 'pull of one table, 1% of the log',
    rounds: 300,
    prepare: async (both) => {
      for (let part = 0; part < 10; part++) {
        await fill(both, [...batch(990), ...batch(10, { table: 'projects' })], 'filtered')
      }
    },
    input: () => 0,
    ours: (both, from) => both.ours.pull('filtered', from, 100, ['projects']),
    floor: (both, from) => both.floor.pullTable('filtered', 'projects', from, 100),
  },
  {
    name: 'cursor update',
    target: 2,
    rounds: 1_500,
    input: () => ++reported,
    ours: (both, version) => both.ours.updateCursor(workspace, version),
    floor: (both, version) => both.floor.updateCursor(workspace, 'device-1', version),
  },
  session(
    'session: role',
    (both) => both.ours.role(),
    (both) => both.floor.role(both.user.userId, both.user.workspaceId),
  ),
  session(
    'session: default workspace',
    (both) => both.ours.defaultWorkspace(),
    (both) => both.floor.defaultWorkspace(both.user.userId),
  ),
  session(
    'session: identity',
    (both) => both.ours.identity(),
    (both) => both.floor.user(both.identity),
  ),
  session(
    'session: list of workspaces',
    (both) => both.ours.list(),
    (both) => both.floor.list(both.user.userId),
  ),
]
