/**
 * Situations that are tedious to make by hand, each on a note of its own.
 */
import { ref } from 'vue'
import { messageOf } from '../utils/api'
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
  readonly journal: Journal
  readonly push: (ops: ReadonlyArray<PendingOp>) => Promise<Pushed>
  readonly collect: (retentionSeconds: number) => Promise<void>
}

/** Short enough to wait for, and long enough that no cursor grows stale between its report and the collection. */
const retentionSeconds = 2
/** Ages are counted in whole seconds. */
const untilOlder = (retentionSeconds + 1) * 1_000 + 100

/** Slow enough to be followed with the eye. */
const beat = 500

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

export const useScenarios = ({ laptop, phone, journal, push, collect }: Stage) => {
  const running = ref('')

  const step = async (sentence: string) => {
    journal.step(sentence)
    await pause(beat)
  }

  const online = async () => {
    await laptop.setOnline(true)
    await phone.setOnline(true)
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
    await step(`The log is left alone until it is older than ${retentionSeconds} seconds, so wait a moment.`)
    await pause(untilOlder)
    await step('Both devices pull everything and say so with their cursors; then garbage is collected.')
    await laptop.pull()
    await phone.pull()
    await collect(retentionSeconds)
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
    ],
  }
}

export type Scenarios = ReturnType<typeof useScenarios>
