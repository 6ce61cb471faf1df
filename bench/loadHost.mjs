/**
 * The built host as a process of its own, on this machine's own address, with a probe in it.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { supported } from './supported.mjs'

/** Nobody else's server is to be put under load. */
export const requireLoopback = (address) => {
  const isOwn = isIP(address) === 4 ? address.startsWith('127.') : address === '::1'
  if (!isOwn) throw new Error(`${address} is no loopback address: only this machine's own servers are loaded`)
}

/**
 * The `.output` of the host: where it is given, where it was built before (`OR3_E2E_DIR`, as the tests have it), or built now.
 * Gives besides what takes it away.
 */
export const hostOutput = async (given, tell) => {
  if (given !== undefined) return { output: given, remove: () => {} }
  const kept = process.env.OR3_E2E_DIR
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'or3-load-host-'))
  const remove = () => kept ?? rmSync(folder, { recursive: true, force: true })
  tell(`building the host of mid-2026 in ${folder}, if it is not there; it takes some minutes`)
  process.env.OR3_LOAD_DIR = folder
  try {
    const { builtHost } = await supported('builtHost')
    const { output } = await builtHost('later')
    return { output, remove }
  } catch (error) {
    remove()
    throw error
  }
}

/** Starts it and waits until it listens. `begin` and `end` go around a measurement. */
export const startHost = async ({ output, address, database, nodeOptions }) => {
  requireLoopback(address)
  const [{ freePort }, { cleanEnv }] = [await supported('freePort'), await supported('run')]
  const port = await freePort()
  const env = cleanEnv({
    HOST: address,
    PORT: `${port}`,
    NUXT_DEV_SIGN_IN: 'true',
    OR3_SQLITE_DB_PATH: database,
  })
  const probe = new URL('./loadProbe.mjs', import.meta.url).href
  const child = fork(join(output, 'server/index.mjs'), {
    cwd: output,
    env,
    execArgv: ['--import', probe, ...nodeOptions],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => (said += chunk))
  }
  const ended = once(child, 'exit')
  await new Promise((resolve, reject) => {
    child.stdout.on('data', () => said.includes('Listening on') && resolve())
    void ended.then(([code]) => reject(new Error(`the host ended with ${code}:\n${said}`)))
  })
  return {
    url: `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`,
    begin: () => child.send('begin'),
    end: async () => {
      const answer = once(child, 'message')
      child.send('end')
      const [measured] = await answer
      return measured
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
    kill: () => child.kill('SIGKILL'),
  }
}

/** So many processes of devices. */
export const startDevices = (count) =>
  Array.from({ length: count }, () => fork(fileURLToPath(new URL('./loadDevices.mjs', import.meta.url))))
