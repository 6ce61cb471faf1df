/**
 * What it is all for: devices that edit, go offline, crash, lose acknowledgements, stay away for a year and come back all
 * end equal to the server and to each other, whatever was collected meanwhile.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Device, liveOnServer } from '../support/simulatedDevice.js'
import { scope } from '../support/ops.js'
import { casesOn, fc, patience } from '../support/property.js'
import type { Subject } from '../support/subjectType.js'
import { freshWorkspaces, propertySubjects } from '../support/subjects.js'

const start = 1_700_000_000_000
const day = 86_400
const retentionSeconds = 30 * day

const device = fc.nat(3)

const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('edit' as const),
      device,
      table: fc.constantFrom('messages', 'threads'),
      pk: fc.constantFrom('a', 'b', 'c'),
      operation: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('push' as const),
      device,
      count: fc.integer({ min: 1, max: 4 }),
      acknowledged: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('pull' as const),
      device,
      limit: fc.integer({ min: 1, max: 4 }),
      crash: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('report' as const), device }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('collect' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('pass' as const),
      seconds: fc.constantFrom(1, day, 31 * day, 365 * day, -day),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('reinstall' as const), device, bySnapshot: fc.boolean() }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('page' as const),
      device,
      size: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leap' as const) }) },
)

const collect = async (subject: Subject) => {
  await subject.gcTombstones({ ...scope(), retentionSeconds })
  await subject.gcChangeLog({ ...scope(), retentionSeconds })
}

describe.each(propertySubjects())('devices on %s', (name) => {
  const inWorkspaces = freshWorkspaces(name)

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it(
    'all end equal to the server and to each other, however they began, and history is bounded by the retention window',
    () =>
      fc.assert(
        fc.asyncProperty(fc.array(event, { maxLength: 60, size: 'max' }), (events) =>
          inWorkspaces(async (subject) => {
            vi.setSystemTime(start)
            let installs = 0
            const install = (bySnapshot = false) => {
              const fresh = new Device(`d${++installs}`)
              if (bySnapshot) fresh.begin()
              return fresh
            }
            const devices = Array.from({ length: 4 }, () => install())
            for (const [index, happening] of events.entries()) {
              // Until it has installed its snapshot a device does nothing else.
              if (
                'device' in happening &&
                devices[happening.device]!.isBeginning &&
                happening.type !== 'page' &&
                happening.type !== 'reinstall'
              ) {
                continue
              }
              switch (happening.type) {
                case 'edit':
                  devices[happening.device]!.edit(
                    happening.table,
                    happening.pk,
                    happening.operation,
                    `t${index}`,
                  )
                  break
                case 'push':
                  await devices[happening.device]!.push(subject, happening.count, happening.acknowledged)
                  break
                case 'pull':
                  await devices[happening.device]!.pull(subject, happening.limit, happening.crash)
                  break
                case 'report':
                  await devices[happening.device]!.reportCursor(subject)
                  break
                case 'collect':
                  await collect(subject)
                  break
                case 'pass':
                  vi.setSystemTime(Date.now() + happening.seconds * 1_000)
                  break
                case 'reinstall':
                  devices[happening.device] = install(happening.bySnapshot)
                  break
                case 'page':
                  await devices[happening.device]!.readPage(subject, happening.size)
                  break
                case 'leap': {
                  // As a device from before a restored backup lets it.
                  const { version } = await subject.view('w1')
                  await subject.pull({ ...scope(), cursor: version + 1 })
                  break
                }
              }
            }

            for (const each of devices) await each.synchronise(subject)
            devices.push(install(), install(true))
            for (const each of devices) await each.synchronise(subject)
            const expected = await liveOnServer(subject)
            for (const each of devices) expect(each.live(), each.id).toEqual(expected)

            // Twice the window later, with every device heard of, only the rows and the newest entry are left.
            for (let turn = 0; turn < 3; turn++) {
              vi.setSystemTime(Date.now() + (retentionSeconds + 365 * day) * 1_000)
              for (const each of devices) await each.reportCursor(subject)
              await collect(subject)
            }
            const { logVersions, tombstones } = await subject.view('w1')
            expect(logVersions.length).toBeLessThanOrEqual(1)
            expect(tombstones.length).toBeLessThanOrEqual(1)
            for (const late of [install(), install(true)]) {
              await late.synchronise(subject)
              expect(late.live(), late.id).toEqual(expected)
            }
          }),
        ),
        casesOn(name, 40),
      ),
    patience(120_000),
  )
})
