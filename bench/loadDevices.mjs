/**
 * Simulated devices in a process of their own, with the rhythm of OR3 Chat's client, over connections that are kept as browsers keep them.
 *
 * A request's time counts from when it was due, not from when it was sent: a device whose last poll is not answered yet polls late, and
 * that is the server's doing. What this process itself sent too late is not the server's, so it is left out, and told.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { requireLoopback } from './loadHost.mjs'
import { resolution, shown } from './loopDelay.mjs'
import { batch } from './workloads.mjs'

/** Milliseconds. The means are of exponential intervals. */
const rhythm = {
  poll: 2_000,
  /** Of a device: somebody writes, an answer comes. */
  push: 20_000,
  session: 60_000,
  /** Of a device, until it begins anew with a snapshot, as a fresh one does. */
  fresh: 300_000,
  /** Of a workspace, until its owner collects garbage. */
  collection: 60_000,
}

/** A request that was sent so many milliseconds after it could have been is not counted. */
const tooLate = 20

const now = () => performance.now()
const exponential = (mean) => -mean * Math.log(1 - Math.random())

let running = true
let measuring = false
let left = 0
const kinds = {}
const failures = {}
const lateness = []
let leftOut = 0

const failed = (kind, what) => {
  const known = (failures[kind] ??= { count: 0, first: what })
  known.count++
}

const send = ({ url, agent, cookie }, method, path, body) =>
  new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(cookie === undefined ? {} : { cookie }) }
    const request = httpRequest(`${url}${path}`, { method, agent, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ response, text, at: now() }))
    })
    request.on('error', (error) => {
      // The server closed a connection that was idle, just as it was used again: as browsers do, on a new one.
      const isStale = error.code === 'ECONNRESET' && request.reusedSocket
      if (isStale) send({ url, agent, cookie }, method, path, body).then(resolve, reject)
      else reject(error)
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })

const answered = ({ response, text }) => {
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${text.slice(0, 200)}`)
  return JSON.parse(text)
}

/** What has to work, and is not measured. */
const call = async (device, method, path, body) => answered(await send(device, method, path, body))

/**
 * A measured request, `due` at a time; `free` is when the device had nothing else to wait for. Undefined for one that failed or was
 * not sent any more.
 */
const timed = async (kind, device, [method, path, body], due = now(), free = due) => {
  if (left-- <= 0) running = false
  if (!running) return undefined
  const wasMeasuring = measuring
  const late = now() - Math.max(due, free)
  try {
    const answer = await send(device, method, path, body)
    const value = answered(answer)
    if (wasMeasuring) {
      lateness.push(late)
      if (late > tooLate) leftOut++
      else (kinds[kind] ??= []).push(answer.at - due)
    }
    return value
  } catch (error) {
    failed(kind, String(error))
    return undefined
  }
}

const signIn = async (url, name) => {
  const person = { url, agent: new Agent({ keepAlive: true, maxSockets: 6 }) }
  const answer = await send(person, 'POST', '/api/dev/sign-in', { name })
  answered(answer)
  person.cookie = answer.response.headers['set-cookie'][0].split(';', 1)[0]
  return person
}

/** A workspace with its people, two devices each but for the last, and some history. */
const openWorkspace = async (url, { name, devices: count, records }) => {
  const owner = await signIn(url, `${name}-0`)
  const sessionOf = async (person) => (await call(person, 'GET', '/api/auth/session')).session
  const { id } = (await sessionOf(owner)).workspace
  const scope = { workspaceId: id }
  const workspace = { scope, known: [], owner }
  let version = 0
  for (let done = 0; done < records; done += 100) {
    const ops = batch(Math.min(100, records - done))
    workspace.known.push(...ops.map(({ pk }) => ({ pk, clock: 1 })))
    version = (await call(owner, 'POST', '/api/sync/push', { scope, ops })).serverVersion
  }
  const devices = []
  for (let index = 0; index < count; index++) {
    const person = `${name}-${Math.floor(index / 2)}`
    let device = await signIn(url, person)
    if (index >= 2 && index % 2 === 0) {
      const invite = { email: `${person}@example.org`, role: 'editor', expiresInSeconds: 3_600 }
      const { token } = await call(owner, 'POST', '/api/invites', invite)
      await call(device, 'POST', '/api/auth/accept-invite', { workspaceId: id, token })
    }
    const session = await sessionOf(device)
    if (session.workspace.id !== id) throw new Error(`${person} is in another workspace`)
    devices.push({ ...device, workspace, id: randomUUID(), cursor: version })
  }
  return { workspace, devices }
}

const post = (path, { workspace: { scope } }, body) => ['POST', path, { scope, ...body }]

/** Polls until there is no more, and reports where it is then. */
const catchUp = async (device, due, free) => {
  const before = device.cursor
  for (let kind = 'poll'; ; kind = 'page') {
    const request = post('/api/sync/pull', device, { cursor: device.cursor, limit: 100 })
    const page = await timed(kind, device, request, ...(kind === 'poll' ? [due, free] : []))
    if (page === undefined) return
    device.cursor = page.nextCursor
    if (!page.hasMore) break
  }
  if (device.cursor === before) return
  const report = { deviceId: device.id, version: device.cursor }
  await timed('cursor', device, post('/api/sync/update-cursor', device, report))
}

const polling = async (device) => {
  let free = 0
  for (let due = now() + Math.random() * rhythm.poll; running; due += rhythm.poll) {
    await sleep(Math.max(0, due - now()))
    await catchUp(device, due, free)
    free = now()
  }
}

/** Mostly a message or two, sometimes what was written on the train. */
const pushSize = () => {
  const kind = Math.random()
  const [from, to] = kind < 0.6 ? [1, 3] : kind < 0.9 ? [4, 15] : [16, 50]
  return from + Math.floor(Math.random() * (to - from + 1))
}

/** New messages, changes of known ones, and a deletion now and then. */
const change = ({ workspace: { known } }) => {
  const kind = Math.random()
  const record = known[Math.floor(Math.random() * known.length)]
  if (kind < 0.7 || record === undefined) {
    const [op] = batch(1)
    known.push({ pk: op.pk, clock: 1 })
    return op
  }
  record.clock++
  return batch(1, { ...record, operation: kind < 0.95 ? 'put' : 'delete' })[0]
}

const changes = (device) =>
  Array.from({ length: pushSize() }, () => {
    const op = change(device)
    return { ...op, stamp: { ...op.stamp, deviceId: device.id } }
  })

/** Does something at times that do not depend on how long it takes. */
const repeating = async (mean, act) => {
  for (let due = now() + exponential(mean); running; due += exponential(mean)) {
    await sleep(Math.max(0, due - now()), undefined, { ref: false })
    if (running) await act(due)
  }
}

const pushing = (device) =>
  repeating(rhythm.push, (due) =>
    timed('push', device, post('/api/sync/push', device, { ops: changes(device) }), due),
  )

const lookingAtSession = (device) =>
  repeating(rhythm.session, (due) => timed('session', device, ['GET', '/api/auth/session'], due))

/** Somebody opens a new browser: session, snapshot page by page. The poll goes on from where that ends. */
const beginningAnew = (device) =>
  repeating(rhythm.fresh, async (due) => {
    await timed('session', device, ['GET', '/api/auth/session'], due)
    let pageToken
    for (;;) {
      const body = { pageSize: 500, ...(pageToken === undefined ? {} : { pageToken }) }
      const page = await timed('snapshot', device, post('/api/sync/snapshot', device, body))
      if (page === undefined) return
      if (page.nextPageToken === null) {
        device.cursor = Math.max(device.cursor, page.highWatermark)
        return
      }
      pageToken = page.nextPageToken
    }
  })

const collecting = (device) =>
  repeating(rhythm.collection, async (due) => {
    for (const what of ['tombstones', 'change-log']) {
      const path = `/api/sync/gc-${what}`
      await timed('collection', device, post(path, device, { retentionSeconds: 3_600 }), due)
      due = now()
    }
  })

const told = async () => (await once(process, 'message'))[0]

const { url, workspaces, requests } = await told()
requireLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))
left = requests
const opened = []
for (const [index, workspace] of workspaces.entries()) {
  opened.push(await openWorkspace(url, workspace))
  process.send({ opened: index + 1 })
}
process.send({ ready: true })

const { warmUp, seconds } = await told()
const own = monitorEventLoopDelay({ resolution })
const devices = opened.flatMap((each) => each.devices)
for (const each of opened) void collecting(each.devices[0])
const polls = devices.map((device) => {
  for (const act of [pushing, lookingAtSession, beginningAnew]) void act(device)
  return polling(device)
})
await sleep(warmUp * 1_000)
own.enable()
measuring = true
const start = now()
process.send({ measuring: true })
await sleep(seconds * 1_000)
measuring = false
const took = now() - start
process.send({ measured: true })
own.disable()
running = false
// The last answers; who waits longer than this is told as failed.
await Promise.race([Promise.all(polls), sleep(10_000)])
process.send(
  { result: { kinds, failures, lateness, leftOut, delay: shown(own), took, isCut: left <= 0 } },
  () => process.exit(0),
)
