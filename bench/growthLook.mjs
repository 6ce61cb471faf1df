/**
 * Opens the database that it is given, as a server does, makes some calls, and prints what they took: milliseconds, and bytes of memory.
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { openProvider } from '../dist/src/nuxt/adapters.js'
import { batch } from './workloads.mjs'

const figures = {}

const opening = performance.now()
const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: process.argv[2] } })
figures.start = performance.now() - opening
figures['memory after the start'] = process.memoryUsage.rss()
const { syncGateway, workspaceStore, adminStores } = provider

const median = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]

const each = async (name, count, call, prepare = () => undefined) => {
  const times = []
  for (let turn = -20; turn < count; turn++) {
    const given = await prepare()
    const start = performance.now()
    await call(given)
    if (turn >= 0) times.push(performance.now() - start)
  }
  figures[name] = median(times)
}

/** What a long call takes, and the longest time in which the event loop did not turn meanwhile. */
const long = async (name, call) => {
  let [longest, last, running] = [0, performance.now(), true]
  const turn = () => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  const start = performance.now()
  await call()
  figures[name] = performance.now() - start
  running = false
  await sleep(1)
  figures[`longest stall of that: ${name}`] = longest
}

const ids = await syncGateway.listWorkspaceIds()
let place = 0
const workspace = () => ({ workspaceId: ids[(place += 7_919) % ids.length] })
const identity = () => ({ provider: 'growth', providerUserId: `u${(place += 7_919) % ids.length}` })

// What goes on by itself, in each second, once the start is over.
await sleep(1_000)
const idle = performance.eventLoopUtilization()
await sleep(3_000)
const { active } = performance.eventLoopUtilization(idle)
figures['work of an idle second'] = active / 3

await each('session: three look-ups', 500, async () => {
  const { userId } = await workspaceStore.getOrCreateUser(identity())
  const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
  await workspaceStore.getWorkspaceRole({ userId, workspaceId })
})
await each(
  'poll, nothing new',
  500,
  (request) => syncGateway.pull({}, request),
  async () => {
    const scope = workspace()
    const { nextCursor: cursor } = await syncGateway.pull({}, { scope, cursor: 0, limit: 1_000 })
    return { scope, cursor, limit: 100 }
  },
)
await each('push of 1', 200, () => syncGateway.push({}, { scope: workspace(), ops: batch(1) }))
await each('snapshot, a page', 100, () => syncGateway.snapshot({}, { scope: workspace(), pageSize: 100 }))
await each('list of workspaces, a page', 20, () =>
  adminStores.createWorkspaceAccessStore().listWorkspaces({ page: 1, perPage: 20 }),
)
await long('maintenance state', () => syncGateway.getMaintenanceState())
await long('upkeep, nothing to do', () => provider.upkeep())
figures['memory in the end'] = process.memoryUsage.rss()
await provider.close()
process.stdout.write(JSON.stringify(figures))
