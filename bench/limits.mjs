/**
 * Rate limits beside one hand-written statement for each check, which is exact over processes, and beside a look-up of a role.
 */
import { Sqlite } from './sqlite.mjs'
import { openProvider } from '../dist/src/nuxt/adapters.js'

const windowMs = 60_000

/** As hosts limit: some requests a minute. */
const limit = { windowMs, maxRequests: 120 }

const openFloor = (file) => {
  const database = new Sqlite(file)
  database.pragma('synchronous = NORMAL')
  database.exec(
    'CREATE TABLE floor_limits (key TEXT PRIMARY KEY NOT NULL, count INTEGER NOT NULL, ends_at INTEGER NOT NULL)',
  )
  const record = database.prepare(
    `INSERT INTO floor_limits (key, count, ends_at) VALUES (@key, 1, @now + @windowMs)
     ON CONFLICT (key) DO UPDATE SET count = iif(ends_at <= @now, 1, count + 1),
       ends_at = iif(ends_at <= @now, @now + @windowMs, ends_at)
     RETURNING count, ends_at`,
  )
  return {
    check: (key) => {
      const now = Date.now()
      const { count, ends_at: endsAt } = record.get({ key, now, windowMs })
      return count <= limit.maxRequests
        ? { allowed: true, remaining: limit.maxRequests - count }
        : { allowed: false, remaining: 0, retryAfterMs: endsAt - now }
    },
    close: () => database.close(),
  }
}

export const openLimits = async (file, _quick) => {
  const provider = openProvider({ env: { OR3_SQLITE_DB_PATH: file } })
  const { rateLimitProvider, workspaceStore } = provider
  const { userId } = await workspaceStore.getOrCreateUser({ provider: 'bench', providerUserId: 'u' })
  const { workspaceId } = await workspaceStore.getOrCreateDefaultWorkspace(userId)
  const floor = openFloor(file)
  let users = 0
  const key = () => `sync:pull:user-${users++}`
  /** Many checks of a user: most ask nobody, some write, and a median of single ones would hide those. */
  const many = (count, check) => async (_both, given) => {
    for (let call = 0; call < count; call++) await check(given)
  }
  const ours = (given) => rateLimitProvider.checkAndRecord(given, limit)
  const role = () => workspaceStore.getWorkspaceRole({ userId, workspaceId })
  const compared = (name, target, count, floor) => ({
    ...{ name, target, rounds: 500, input: key },
    ours: many(count, ours),
    floor: many(count, floor),
  })
  return {
    workloads: [
      compared('limits: 60 checks of 120', 2, 60, floor.check),
      compared('limits: all 120 checks', 2, 120, floor.check),
      compared('limits: 60 checks of 120 against look-ups of a role (ours)', 1.2, 60, role),
      compared('limits: all 120 checks against look-ups of a role (ours)', undefined, 120, role),
    ],
    close: async () => {
      floor.close()
      await provider.close()
    },
  }
}
