/**
 * What the services count. The figures are in Effect's registry of metrics, for whoever reads or exports it.
 */
import { Metric, MetricBoundaries, MetricKey, MetricLabel } from 'effect'

/** 0.1 ms to 3.3 s, each bound twice the one before. */
const boundaries = MetricBoundaries.exponential({ start: 0.1, factor: 2, count: 16 })
// Labels are part of the key: a metric that is labelled afterwards looks itself up at every update.
const duration = (name: string, description: string): Metric.Metric.Histogram<number> =>
  Metric.fromMetricKey(
    MetricKey.tagged(MetricKey.histogram(name, boundaries, description), 'time_unit', 'milliseconds'),
  )

/** Milliseconds a push took, its wait for locks included. */
export const pushDuration = duration('or3_push_duration', 'How long a push took')
/** Milliseconds a pull took. */
export const pullDuration = duration('or3_pull_duration', 'How long a pull took')

/** Milliseconds a page of a snapshot took. */
export const snapshotDuration = duration('or3_snapshot_duration', 'How long a page of a snapshot took')
/** Records that pages of snapshots passed over because a client could not install them: each counts once in each snapshot. */
export const leftOut = Metric.counter('or3_snapshot_left_out_total', {
  description: 'Records left out of snapshots because a client could not install them',
  incremental: true,
})

/** Versions above the floors of all workspaces, which is what their change logs hold; of a database in a file, about every second. */
export const logEntries = Metric.gauge('or3_log_entries', {
  description: 'Entries in the change logs of all workspaces',
})

/** Counters of one name that differ in their labels; each is made at first use, which is costly. */
const family = <Labels extends Readonly<Record<string, string>>>(name: string, description: string) => {
  const made = new Map<string, Metric.Metric.Counter<number>>()
  return (labels: Labels): Metric.Metric.Counter<number> => {
    const key = Object.values(labels).join(' ')
    let counter = made.get(key)
    if (counter === undefined) {
      const tags = Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value))
      counter = Metric.fromMetricKey(
        MetricKey.taggedWithLabels(MetricKey.counter(name, { description, incremental: true }), tags),
      ) as Metric.Metric.Counter<number>
      made.set(key, counter)
    }
    return counter
  }
}

/** What became of a pushed op. */
export type OpResult = 'applied' | 'superseded' | 'replayed' | 'conflict' | 'invalid' | 'forbidden'

/** Pushed ops. */
export const ops = family<{ readonly outcome: OpResult }>('or3_ops_total', 'Pushed ops')

/** Calls of a service's method; the outcome is `ok`, the tag of the error, or `defect`. */
export const calls = family<{ readonly method: string; readonly outcome: string }>(
  'or3_calls_total',
  'Calls of the services',
)

/** What garbage collection removed. */
export const collected = family<{
  readonly kind: 'log entries' | 'op ids' | 'tombstones' | 'cursors'
}>('or3_gc_removed_total', 'What garbage collection removed')
