/**
 * How late an event loop turns, the same for the server and for its devices.
 */

/** Milliseconds between two looks; a look that comes this long after the last one is on time. */
export const resolution = 10

const millis = (nanos) => Math.max(0, nanos / 1e6 - resolution)

/** What `monitorEventLoopDelay` has seen, in milliseconds beyond what was asked for. */
export const shown = (delay) => ({
  p50: millis(delay.percentile(50)),
  p99: millis(delay.percentile(99)),
  max: millis(delay.max),
})
