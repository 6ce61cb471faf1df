/**
 * The files of `examples/container`: what they say is done here step by step in plain folders, since a test machine has no engine of
 * containers. A usual run takes the host that other tests have built; a deep one builds it as the Dockerfile says.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { validate } from 'dockerfile-utils'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { builtHost, plainConsumer } from '../support/builtHost.js'
import { environmentOf, makeImage, placeIn, type Stage } from '../support/dockerImage.js'
import { freePort } from '../support/freePort.js'
import { signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { deep } from '../support/property.js'
import { cleanEnv, root, run } from '../support/run.js'
import { killServers, start } from '../support/server.js'

const example = join(root, 'examples/container')
const read = (name: string) => readFileSync(join(example, name), 'utf8')

interface Service {
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target?: string }
  readonly volumes: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly entrypoint?: ReadonlyArray<string>
  readonly ports?: ReadonlyArray<string>
  readonly stop_grace_period?: string
}

const compose = parse(read('compose.yaml')) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const folder = mkdtempSync(join(tmpdir(), 'or3-e2e-container-'))
afterEach(killServers)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let build: Stage
let image: Stage

/** What takes minutes, and is done for all tests already. */
const building = ['npm ci', 'npm run build', 'npx nuxt build playground']
const done: Array<string> = []

beforeAll(async () => {
  const ignored = read('Dockerfile.dockerignore').trim().split('\n')
  const stages = await makeImage(read('Dockerfile'), {
    folder,
    context: root,
    ignored: new Set(ignored.map((pattern) => pattern.replace('**/', ''))),
    instead: (step, stage) => {
      if (!building.includes(step)) return undefined
      done.push(step)
      if (deep || step !== building.at(-1)) return deep ? undefined : Promise.resolve()
      return builtHost().then(({ output }) =>
        cpSync(output, placeIn(stage, 'playground/.output'), { recursive: true, verbatimSymlinks: true }),
      )
    },
  })
  build = stages.get('build')!
  image = stages.get('last')!
})

/** Makes a process the first of its own, as an engine does: that one has no default for signals. Not every machine lets us. */
const apart = ['unshare', '--pid', '--fork', '--mount-proc']
const asFirst = spawnSync(apart[0]!, [...apart.slice(1), 'true']).status === 0 ? apart : []

const startImage = async () => {
  const port = await freePort()
  const env = {
    ...environmentOf(image),
    PORT: `${port}`,
    HOST: '127.0.0.1',
    ...compose.services.host!.environment,
  }
  const [program, ...args] = [...asFirst, ...image.command]
  const { child, said, ended } = start(program!, args, {
    cwd: placeIn(image, '.'),
    env,
  })
  const health = () => spawnSync(image.health[0]!, image.health.slice(1), { env: cleanEnv(env) }).status
  return {
    url: `http://127.0.0.1:${port}`,
    health,
    ready: async () => {
      while (!said.stdout.includes('Listening on'))
        await Promise.race([sleep(20), ended.then(({ stderr }) => Promise.reject(new Error(stderr)))])
    },
    stop: async () => {
      const children = `/proc/${child.pid}/task/${child.pid}/children`
      const pid = asFirst.length === 0 ? child.pid! : parseInt(readFileSync(children, 'utf8'))
      process.kill(pid, image.stopSignal)
      return ended
    },
  }
}

describe('the Dockerfile', () => {
  it('is one, without a warning', () => {
    expect(validate(read('Dockerfile'))).toEqual([])
  })

  it('builds the host in three steps, and gives it to who is not root', () => {
    expect(done).toEqual(building)
    expect(image.user).toBe('node')
    expect(existsSync(placeIn(image, '.output/server/index.mjs'))).toBe(true)
    expect(image.volumes).toEqual(['/data'])
    expect(image.env.OR3_SQLITE_DB_PATH).toMatch(/^\/data\//)
  })

  it('leaves out what is made, and what is nobody else’s business', () => {
    const made = readFileSync(join(root, '.gitignore'), 'utf8').split('\n')
    for (const pattern of read('Dockerfile.dockerignore').trim().split('\n'))
      expect([...made, '.git/']).toContain(`${pattern.replace('**/', '')}/`)
  })

  it('makes a host that says how it is, stops cleanly, and has its data again', async () => {
    const first = await startImage()
    // Nobody listens yet.
    expect(first.health()).toBe(1)
    await first.ready()
    expect(first.health()).toBe(0)
    const ada = await signIn(first.url, 'ada')
    expect((await ada.push(put({ pk: 'm1' }))).body.results[0]!.success).toBe(true)
    expect(await first.stop()).toMatchObject({ code: 0, stderr: '' })
    const file = placeIn(image, image.env.OR3_SQLITE_DB_PATH!)
    expect(existsSync(file)).toBe(true)
    expect(existsSync(`${file}-wal`)).toBe(false)

    const second = await startImage()
    await second.ready()
    expect((await (await signIn(second.url, 'ada')).pull()).body.changes).toMatchObject([{ pk: 'm1' }])
    await second.stop()
  })
})

describe('the compose file', () => {
  const { host, command, litestream } = compose.services

  it('builds what there is, and mounts what it declares', () => {
    for (const { build } of [host!, command!]) {
      expect(resolve(example, build!.context)).toBe(resolve(root))
      expect(resolve(example, build!.context, build!.dockerfile)).toBe(join(example, 'Dockerfile'))
    }
    expect(command!.build!.target).toBe('build')
    for (const { volumes } of [host!, command!, litestream!]) {
      expect(volumes[0]).toBe(`data:${image.volumes[0]}`)
      for (const [source] of volumes.map((volume) => volume.split(':')))
        expect(
          source!.startsWith('./') ? existsSync(join(example, source!)) : source! in compose.volumes,
        ).toBe(true)
    }
    expect(host!.ports![0]).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+:${image.env.PORT}$`))
    // What calls may take (5 s for a lock, 2 s for hooks) fits in.
    expect(parseInt(host!.stop_grace_period!)).toBeGreaterThanOrEqual(15)
  })

  it('has the command beside it, on the same data', async () => {
    const program = deep
      ? placeIn(build, '.')
      : join(await plainConsumer(), 'node_modules/or3-provider-sqlite')
    const backup = placeIn(build, '/backup/or3-sync.db')
    const env = { OR3_SQLITE_DB_PATH: placeIn(image, command!.environment!.OR3_SQLITE_DB_PATH!) }
    const [node, ...entry] = command!.entrypoint!
    expect(await run(node!, [...entry, 'backup', backup], { cwd: program, env })).toContain('checked')
  })

  it('has Litestream copy the file that the host has', () => {
    const { dbs } = parse(read('litestream.yml')) as {
      dbs: ReadonlyArray<{ path: string; replicas: ReadonlyArray<{ path: string }> }>
    }
    expect(dbs.map(({ path }) => path)).toEqual([image.env.OR3_SQLITE_DB_PATH])
    for (const { path } of dbs[0]!.replicas)
      expect(litestream!.volumes.some((volume) => path.startsWith(`${volume.split(':')[1]}/`))).toBe(true)
  })
})
