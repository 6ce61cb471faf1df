/**
 * Situations that are tedious to make by hand, each on a note of its own.
 */
import { ref } from 'vue'
import { messageOf } from '../utils/api'
import { explainBootstrap } from '../utils/decisions'
import type { Device } from './device'
import type { Journal } from './journal'
import type { PendingOp, Pushed } from '../utils/protocol'

export interface Scenario {
  readonly id: string
  readonly label: string
  readonly hint: string
  readonly run: () => Promise<void>
}

interface Stage {
  readonly laptop: Device
  readonly phone: Device
  readonly tablet: Device
  readonly journal: Journal
  readonly push: (ops: ReadonlyArray<PendingOp>) => Promise<Pushed>
  readonly collect: () => Promise<void>
}

/** Slow enough to be followed with the eye. */
const beat = 500

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

export const useScenarios = ({ laptop, phone, tablet, journal, push, collect }: Stage) => {
  const running = ref('')

  const step = async (sentence: string) => {
    journal.step(sentence)
    await pause(beat)
  }

  /** The tablet, once it has come. */
  const others = () => (tablet.copy.bootstrap === undefined ? [phone] : [phone, tablet])

  const online = async () => {
    for (const device of [laptop, ...others()]) await device.setOnline(true)
  }

  /** The note is on both devices, equal and pushed. */
  const startWith = async (pk: string, text: string) => {
    await online()
    await laptop.put(pk, text).sent
    await phone.pull()
    journal.clear()
  }

  const bothOffline = async () => {
    await laptop.setOnline(false)
    await phone.setOnline(false)
    await step('Both devices go offline.')
  }

  /** The later one first, so that the earlier one meets what has already won. */
  const comeBack = async (first: Device, second: Device) => {
    await step(`The ${first.name} comes online.`)
    await first.setOnline(true)
    await pause(beat)
    await step(`The ${second.name} comes online.`)
    await second.setOnline(true)
    await first.pull()
  }

  const conflict = async () => {
    await startWith('groceries', 'Milk')
    await bothOffline()
    laptop.put('groceries', 'Milk and bread')
    await step('The laptop changes “groceries” to “Milk and bread”.')
    phone.put('groceries', 'Oat milk')
    await step('A moment later the phone changes it to “Oat milk”.')
    await comeBack(phone, laptop)
  }

  const deletion = async () => {
    await startWith('draft', 'Dear Ada')
    await bothOffline()
    phone.put('draft', 'Dear Ada, how are you?')
    await step('The phone goes on writing “draft”.')
    laptop.remove('draft')
    await step('A moment later the laptop deletes it.')
    await comeBack(laptop, phone)
  }

  const replay = async () => {
    await online()
    journal.clear()
    const { op, sent } = laptop.put('reminder', 'Water the plants')
    await sent
    await step('The acknowledgement gets lost, so the laptop pushes the same op again.')
    await laptop.pushAgain(op)
    await phone.pull()
  }

  const reuse = async () => {
    await online()
    journal.clear()
    const { op, sent } = laptop.put('ticket', 'Seat 12')
    await sent
    await step('A broken client pushes another text under the same op id.')
    await push([{ ...op, payload: { ...(op.payload as object), content: 'Seat 13' } }])
    await phone.pull()
  }

  const collection = async () => {
    await online()
    journal.clear()
    await laptop.put('scrap', 'To be thrown away').sent
    await laptop.remove('scrap').sent
    // Collection stays below the slowest cursor, so the delete must not be the newest entry.
    await laptop.put('keepsake', `Kept at ${new Date().toLocaleTimeString()}`).sent
    await step('The devices pull everything and say so with their cursors.')
    for (const device of [laptop, ...others()]) await device.pull()
    await step(
      'The log is left alone until it is an hour old, so the playground turns that hour by; then garbage is collected.',
    )
    await collect()
  }

  const fresh = async () => {
    await online()
    journal.clear()
    for (const [pk, text] of Object.entries({ apples: 'Green ones', bread: 'Rye', cheese: 'Old' })) {
      await laptop.put(pk, text).sent
    }
    await step('A tablet that has nothing asks for a snapshot, two records a page.')
    const { bootstrap, pulled } = await tablet.bootstrap(2, async () => {
      await step(
        'It has the first page. Before it asks for the next one, the laptop changes “apples” to “Red ones”.',
      )
      await laptop.put('apples', 'Red ones').sent
    })
    await phone.pull()
    journal.decided(explainBootstrap('tablet', bootstrap, pulled))
  }

  const as = (id: string, label: string, hint: string, work: () => Promise<void>): Scenario => ({
    id,
    label,
    hint,
    run: async () => {
      if (running.value !== '') return
      running.value = id
      try {
        await work()
        // It has no part in most of them, and hears of all.
        if (others().includes(tablet)) await tablet.pull()
      } catch (error) {
        journal.step(`The scenario ended early: ${messageOf(error)}.`)
      } finally {
        running.value = ''
      }
    },
  })

  return {
    running,
    scenarios: [
      as('conflict', 'Conflict', 'Both edit one note offline', conflict),
      as('deletion', 'Delete vs. edit', 'One deletes what the other edits', deletion),
      as('replay', 'Replay', 'The same op is pushed twice', replay),
      as('reuse', 'Reused op id', 'Other content under a known id', reuse),
      as('collection', 'Collect garbage', 'Log and tombstones are trimmed', collection),
      as('fresh', 'Fresh device', 'A tablet bootstraps by a snapshot', fresh),
    ],
  }
}

export type Scenarios = ReturnType<typeof useScenarios>
