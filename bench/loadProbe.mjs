/**
 * Watches the server from within: preloaded into its process by `--import`, so that nothing of the host is changed for it.
 *
 * The parent says when a measurement begins and ends, and is told what there was in between.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { resolution, shown } from './loopDelay.mjs'

const delay = monitorEventLoopDelay({ resolution })
delay.enable()
let from = { utilization: performance.eventLoopUtilization(), cpu: process.cpuUsage(), at: performance.now() }
let rss = 0
const look = () => {
  rss = Math.max(rss, process.memoryUsage.rss())
}
setInterval(look, 250).unref()

process.on('message', (question) => {
  if (question === 'begin') {
    delay.reset()
    rss = 0
    from = { utilization: performance.eventLoopUtilization(), cpu: process.cpuUsage(), at: performance.now() }
    return
  }
  if (question !== 'end') return
  look()
  const { user, system } = process.cpuUsage(from.cpu)
  process.send({
    delay: shown(delay),
    busy: performance.eventLoopUtilization(from.utilization).utilization,
    cpu: (user + system) / 1_000 / (performance.now() - from.at),
    rss,
    heap: process.memoryUsage().heapUsed,
  })
})
// The host ends as it would without a parent.
process.channel?.unref()
