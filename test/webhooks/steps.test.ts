/**
 * What others do between the steps of a change to many deliveries, and how much a step takes.
 */
import { Effect, Either, Layer, Logger } from 'effect'
import { expect, it } from 'vitest'
import { Batches } from '../../src/layers/sql/Batches.js'
import { stepSize } from '../../src/layers/sql/webhooksSql.js'
import { Webhooks } from '../../src/services/index.js'
import { batchLayer, committingWith } from '../support/layerSubjects.js'

type Service = Webhooks['Type']

const draft = {
  scope: 'user',
  userId: 'ann',
  workspaceId: 'w1',
  url: 'https://example.org',
  label: '',
  events: ['e'],
  customHooks: ['h'],
  signingSecretEnc: '',
  enabled: true,
} as const

const note = (service: Service, webhookId: string) =>
  service.createDelivery({ webhookId, eventId: 'i', eventType: 'e', attempt: 1 })

/** Makes a registration with deliveries, and calls something about it, before each of whose steps something else happens. */
const withSteps = <A, B>(
  count: number,
  call: (service: Service, webhookId: string) => Effect.Effect<A, unknown>,
  between: (service: Service, webhookId: string, step: number) => Effect.Effect<unknown, unknown>,
  after: (service: Service, webhookId: string, engine: Batches['Type']) => Effect.Effect<B, unknown>,
) => {
  const steps: Array<number> = []
  let isCalling = false
  let happens: (step: number) => Effect.Effect<unknown, unknown> = () => Effect.void
  const engine = committingWith(({ write }) => ({
    write: (operation, batch) =>
      Effect.suspend(() => {
        if (!isCalling) return write(operation, batch)
        isCalling = false
        return Effect.zipRight(
          Effect.orDie(happens(steps.length)),
          write(operation, {
            ...batch,
            read: (results) => {
              steps.push(results[0]!.length)
              isCalling = true
              return batch.read(results)
            },
          }),
        )
      }),
  }))
  return Effect.gen(function* () {
    const service = yield* Webhooks
    const { id } = yield* service.createWebhook(draft)
    yield* Effect.replicateEffect(note(service, id), count)
    happens = (step) => between(service, id, step)
    isCalling = true
    const answer = yield* call(service, id)
    isCalling = false
    return { answer, steps, after: yield* after(service, id, yield* Batches) }
  }).pipe(
    Effect.provide(Layer.provide(batchLayer(engine), Logger.remove(Logger.defaultLogger))),
    Effect.runPromise,
  )
}

const rowsLeft = (engine: Batches['Type']) =>
  engine.read('test', {
    statements: ['webhooks', 'webhook_events', 'webhook_hooks', 'hook_deliveries'].map((table) => ({
      sql: `SELECT 1 FROM ${table}`,
      params: [],
    })),
    read: (results) => Either.right(results.map((rows) => rows.length)),
  })

it('a registration goes with its last delivery, also those that came meanwhile, and until then none is nobody’s', async () => {
  const seen: Array<unknown> = []
  const { steps, after } = await withSteps(
    2 * stepSize,
    (service, id) => service.deleteWebhook(id),
    (service, id, step) =>
      Effect.gen(function* () {
        if (step === 1) yield* note(service, id)
        const claimed = yield* service.claimDeliveries({ workerId: 'me', limit: 1 })
        seen.push([(yield* service.getWebhook(id)) !== null, claimed.length])
      }),
    (_service, _id, engine) => rowsLeft(engine),
  )
  expect(steps).toEqual([stepSize, stepSize, 1])
  expect(seen).toEqual([
    [true, 1],
    [true, 1],
    [true, 1],
  ])
  expect(after).toEqual([0, 0, 0, 0])
})

it('a removal that stopped on its way is finished by the next', async () => {
  const { after } = await withSteps(
    stepSize + 1,
    (service, id) => Effect.exit(service.deleteWebhook(id)),
    (_service, _id, step) => (step === 1 ? Effect.fail('stop') : Effect.void),
    (service, id, engine) =>
      Effect.gen(function* () {
        const stopped = [(yield* service.getWebhook(id)) !== null, ...(yield* rowsLeft(engine))]
        yield* service.deleteWebhook(id)
        return [stopped, yield* rowsLeft(engine)]
      }),
  )
  expect(after).toEqual([
    [true, 1, 1, 1, 1],
    [0, 0, 0, 0],
  ])
})

it.each([
  ['cancelling', (service: Service, id: string) => service.cancelDeliveries(id)],
  ['clearing', (service: Service, id: string) => service.deleteDeliveries(id)],
] as const)('%s counts what each step took, and no delivery twice', async (_what, call) => {
  const { answer, steps } = await withSteps(
    2 * stepSize + 3,
    call,
    (service, id, step) =>
      step === 1
        ? Effect.flatMap(note(service, id), () => service.claimDeliveries({ workerId: 'me', limit: 2 }))
        : Effect.void,
    () => Effect.void,
  )
  expect(steps).toEqual([stepSize, stepSize, 4])
  expect(answer).toBe(2 * stepSize + 4)
})

it('a step takes no more than 8 MiB', async () => {
  const payload = 'x'.repeat(1_048_574)
  const large = (service: Service, webhookId: string) =>
    service.createDelivery({ webhookId, eventId: 'i', eventType: 'e', attempt: 1, requestPayload: payload })
  const { answer, steps } = await withSteps(
    3,
    (service, id) => service.deleteDeliveries(id),
    (service, id, step) => (step === 0 ? Effect.replicateEffect(large(service, id), 20) : Effect.void),
    () => Effect.void,
  )
  expect(answer).toBe(23)
  expect(steps.length).toBe(3)
  expect(Math.max(...steps)).toBeLessThanOrEqual(8 + 3)
})
