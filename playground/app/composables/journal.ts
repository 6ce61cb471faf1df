/**
 * What happened since the last scenario began: its steps, and what the server decided.
 */
import { computed, ref } from 'vue'
import type { Decision } from '../utils/decisions'

export interface JournalEntry {
  readonly id: number
  /** Absent for a step of a scenario. */
  readonly verdict?: Decision['verdict']
  readonly sentence: string
}

const length = 12

export const useJournal = () => {
  const entries = ref<Array<JournalEntry>>([])
  let last = 0
  const add = (entry: Omit<JournalEntry, 'id'>) => {
    entries.value = [...entries.value, { id: ++last, ...entry }].slice(-length)
  }
  return {
    entries,
    latest: computed(() => entries.value.findLast(({ verdict }) => verdict !== undefined)),
    decided: (decision: Decision) => add(decision),
    step: (sentence: string) => add({ sentence }),
    clear: () => {
      entries.value = []
    },
  }
}

export type Journal = ReturnType<typeof useJournal>
