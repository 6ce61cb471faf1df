/**
 * Several processes that share the deliveries of one file: each delivery is one worker's, and what a killed one had becomes
 * another's, once.
 */
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openProvider } from '../../src/nuxt/adapters.js'
import { makeProcesses } from '../support/processes.js'
import { deep } from '../support/property.js'
import { idsOf, logOf, ofUser } from '../support/webhooks.js'

const count = 500

/** Tells each delivery that it has claimed before it notes it as done. `HANGS` is the number of claims after which it does nothing more. */
const worker = `
  import { writeSync } from 'node:fs'
  import { openProvider } from './src/nuxt/adapters.js'
  const { webhookStore, close } = openProvider()
  const print = (line) => writeSync(1, line + '\\n')
  print('ready')
  await new Promise((resume) => process.stdin.once('data', resume))
  for (let claims = 1; ; claims++) {
    const claimed = await webhookStore.claimPendingDeliveries(process.env.NAME, 7)
    for (const { id, claimed_by: by } of claimed) {
      if (by !== process.env.NAME) throw new Error('not mine')
      print('claimed ' + id)
    }
    if (claims === Number(process.env.HANGS)) {
      print('hangs with ' + claimed.length)
      await new Promise((resume) => setTimeout(resume, 60_000))
    }
    if (claimed.length === 0) break
    for (const { id } of claimed) await webhookStore.updateDeliveryLog(id, { status: 'success' })
  }
  await close()
  process.exit(0)`

const claimedIn = (stdout: string): ReadonlyArray<string> =>
  stdout.split('\n').flatMap((line) => (line.startsWith('claimed ') ? [line.slice(8)] : []))

describe.each(deep ? [2, 4] : [4])('%i processes', (workers) => {
  let processes: ReturnType<typeof makeProcesses>
  beforeAll(() => {
    processes = makeProcesses()
  }, 60_000)

  it('claim each of 500 deliveries once, and what one of them left when it was killed once more', async () => {
    const env = { OR3_SQLITE_DB_PATH: join(processes.folder, `claims-${workers}.db`) }
    const { webhookStore: store, close } = openProvider({ env })
    const { id: webhookId } = await store.createWebhook(ofUser())
    for (let n = 0; n < count; n++) await store.createDeliveryLog(logOf(webhookId))
    const all = [...idsOf(await store.getDeliveryLogs(webhookId, 0))].sort()
    expect(all).toHaveLength(count)

    const start = (name: string, more: Record<string, string> = {}) =>
      processes.start(worker, { ...env, ...more, NAME: name })
    const killed = start('killed', { HANGS: '3' })
    const others = Array.from({ length: workers }, (_none, n) => start(`worker ${n}`))
    await Promise.all([killed, ...others].map((child) => child.printed('ready')))
    // It must get some before the others have them all.
    killed.send('go')
    await killed.printed('hangs')
    for (const child of others) child.send('go')
    const ended = await Promise.all(others.map(({ outcome }) => outcome))
    killed.stop('SIGKILL')
    const { stdout, signal } = await killed.outcome
    expect(signal).toBe('SIGKILL')
    expect(ended.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      ended.map(() => ({ code: 0, stderr: '' })),
    )

    const ofKilled = claimedIn(stdout)
    const first = [...ofKilled, ...ended.flatMap((outcome) => claimedIn(outcome.stdout))]
    expect([...first].sort()).toEqual(all)
    const left = ofKilled.slice(-Number(/hangs with (\d+)/.exec(stdout)![1]))
    expect(left).toHaveLength(7)
    expect(await store.claimPendingDeliveries('me', 10)).toEqual([])
    expect(await store.resetStaleInFlightDeliveries(60_000)).toBe(0)
    expect(await store.resetStaleInFlightDeliveries(0)).toBe(left.length)

    const late = ['late', 'later'].map((name) => start(name))
    await Promise.all(late.map((child) => child.printed('ready')))
    for (const child of late) child.send('go')
    const second = (await Promise.all(late.map(({ outcome }) => outcome))).flatMap((outcome) =>
      claimedIn(outcome.stdout),
    )
    expect([...second].sort()).toEqual([...left].sort())
    expect(await store.getRecentTerminalDeliveries(webhookId, 1_000)).toHaveLength(count)
    await close()
  }, 60_000)
})
