/**
 * A built host sends what the README promises to an OpenTelemetry collector: spans, metrics and logs, and no word of what users
 * wrote.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { builtHost } from '../support/builtHost.js'
import { signIn } from '../support/httpDevice.js'
import { put } from '../support/ops.js'
import { killServers, startServer } from '../support/server.js'

let folder: string
let collector: Server
const received = new Map<string, string>()

beforeAll(async () => {
  await builtHost()
  folder = mkdtempSync(join(tmpdir(), 'or3-e2e-observability-'))
  collector = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      const path = request.url ?? ''
      received.set(path, (received.get(path) ?? '') + body)
      response.end('{}')
    })
  })
  await new Promise<void>((listening) => collector.listen(0, '127.0.0.1', listening))
})

afterAll(() => {
  killServers()
  collector.close()
  rmSync(folder, { recursive: true, force: true })
})

it('sends spans, metrics and logs, the last of them while it closes', async () => {
  const { port } = collector.address() as AddressInfo
  const server = await startServer({
    OR3_SQLITE_DB_PATH: join(folder, 'observed.db'),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  })
  const device = await signIn(server.url, 'ada')
  await device.push(put({ pk: 'm1', payload: { id: 'm1', content: 'TOP-SECRET' } }))
  await device.pull()
  expect((await server.stop()).code).toBe(0)

  const traces = received.get('/v1/traces')
  for (const text of [
    'SyncGateway.push',
    'SyncGateway.pull',
    'WorkspaceStore.getWorkspaceRole',
    'or3.ops.applied',
  ]) {
    expect(traces).toContain(text)
  }
  expect(received.get('/v1/metrics')).toContain('or3_ops_total')
  expect(received.get('/v1/logs')).toContain('applied 001_init')
  for (const body of received.values()) expect(body).not.toContain('TOP-SECRET')
}, 60_000)
