/**
 * The plot of a run under load, as SVG.
 */
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

const colours = {
  poll: '#1f77b4',
  push: '#d62728',
  cursor: '#2ca02c',
  session: '#9467bd',
  snapshot: '#8c564b',
}
const median = 'poll, median'

/** Names at the ends of lines, each so far above the next one that both can be read; on a logarithmic scale that is a factor. */
const labelsOf = (points, factor) => {
  const last = Math.max(...points.map(({ devices }) => devices))
  const ends = points.filter(({ devices }) => devices === last).sort((a, b) => a.ms - b.ms)
  let lowest = 0
  return ends.map((end) => {
    lowest = Math.max(end.ms, lowest * factor)
    return { ...end, ms: lowest }
  })
}

/** The 99th percentiles over the number of devices, and the median of polls. `at` is where polls pass the goal, if they do. */
export const plotted = (results, { goal, at }) => {
  const { document } = parseHTML('<!doctype html><html><body></body></html>')
  const points = results.flatMap(({ devices, kinds }) => [
    ...Object.keys(colours)
      .filter((kind) => kinds[kind] !== undefined)
      .map((kind) => ({ devices, kind, line: kind, ms: kinds[kind].p99 })),
    ...(kinds.poll === undefined ? [] : [{ devices, kind: 'poll', line: median, ms: kinds.poll.p50 }]),
  ])
  const all = points.map(({ ms }) => ms)
  const range = Math.max(...all) / Math.min(...all)
  // Room for the numbers below.
  const steps = results
    .map(({ devices }) => devices)
    .reduce((few, devices) => (devices < few.at(-1) * 1.25 ? few : [...few, devices]), [0])
    .slice(1)
  const place = { x: 'devices', y: 'ms', z: 'line', stroke: 'kind' }
  const svg = Plot.plot({
    document,
    width: 720,
    height: 420,
    marginRight: 80,
    marginLeft: 50,
    style: { background: 'white', color: 'black' },
    x: { type: 'log', label: 'devices' },
    y: { type: 'log', label: 'p99 in milliseconds', grid: true, tickFormat: '~r' },
    color: { domain: Object.keys(colours), range: Object.values(colours) },
    marks: [
      // By themselves logarithmic axes leave some numbers out.
      Plot.gridX(steps),
      Plot.axisX(steps, { text: String }),
      Plot.ruleY([goal], { strokeDasharray: '6 3' }),
      ...(at === undefined ? [] : [Plot.ruleX([at], { strokeDasharray: '6 3' })]),
      Plot.lineY(
        points.filter(({ line }) => line !== median),
        { ...place, marker: 'circle' },
      ),
      Plot.lineY(
        points.filter(({ line }) => line === median),
        { ...place, strokeDasharray: '2 3' },
      ),
      // The plot is 360 high inside, a line of text 12.
      Plot.text(labelsOf(points, range ** (12 / 360)), {
        x: 'devices',
        y: 'ms',
        z: 'line',
        fill: 'kind',
        text: 'line',
        dx: 8,
        textAnchor: 'start',
      }),
    ],
  })
  svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', '99th percentiles of requests by kind over the number of devices')
  return `${svg.outerHTML}\n`
}
