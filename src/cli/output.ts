/**
 * Where output goes: results to standard output; progress, notes and errors to standard error.
 */
import { stripVTControlCharacters } from 'node:util'
import { Config, Console, Effect, Logger, Option } from 'effect'
import { failed } from './failure.js'
import { type Output, Streams } from './streams.js'

/** A result. */
export const say = (line: string) => Console.log(line)

/** What accompanies it. */
export const remark = (line: string) => Console.error(line)

const noColor = Config.option(Config.string('NO_COLOR')).pipe(
  Config.map(Option.exists((value) => value !== '')),
  Effect.orElseSucceed(() => false),
)

/** Help and usage errors come in colours; they stay on terminals that want them. */
export const withPlainOutput = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.all([noColor, Streams]), ([plain, { stdout, stderr }]) => {
    const write = (stream: Output, parts: ReadonlyArray<unknown>) => {
      const text = parts.map(String).join(' ').trimEnd()
      stream.write(`${plain || !stream.isTTY ? stripVTControlCharacters(text) : text}\n`)
    }
    const log = (...parts: ReadonlyArray<unknown>) => write(stdout, parts)
    const error = (...parts: ReadonlyArray<unknown>) => write(stderr, parts)
    return Console.consoleWith((console) =>
      Effect.withConsole(program, {
        ...console,
        log: (...parts) => Effect.sync(() => log(...parts)),
        error: (...parts) => Effect.sync(() => error(...parts)),
        unsafe: { ...console.unsafe, log, error },
      }),
    )
  })

/** What layers have to say. */
export const loggerLayer = Logger.replaceEffect(
  Logger.defaultLogger,
  Effect.map(Streams, ({ stderr }) =>
    Logger.make(({ message }) => {
      const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
      stderr.write(`${parts.map(String).join(' ')}\n`)
    }),
  ),
)

export interface Progress {
  /** Cheap enough to be called for each step. */
  readonly update: (done: number, of: number, detail: string) => void
}

const width = 24
const everyMillis = { terminal: 100, plain: 5_000 }

const percentOf = (done: number, of: number) => (of === 0 ? 100 : Math.floor((done / of) * 100))

/** A bar on a terminal; elsewhere a line now and then, and none for what is quick. */
export const withProgress = <A, E, R>(
  label: string,
  work: (progress: Progress) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.all([Effect.clock, Streams]), ([clock, { stderr }]) => {
    const isTerminal = stderr.isTTY === true
    const pause = isTerminal ? everyMillis.terminal : everyMillis.plain
    let last = isTerminal ? 0 : clock.unsafeCurrentTimeMillis()
    let length = 0
    const draw = (line: string) => {
      // Blanks instead of control sequences: some terminals want none.
      stderr.write(`\r${line.padEnd(length)}`)
      length = line.length
    }
    const update = (done: number, of: number, detail: string) => {
      const now = clock.unsafeCurrentTimeMillis()
      if (now - last < pause) return
      last = now
      const percent = percentOf(done, of)
      if (!isTerminal) stderr.write(`${label}: ${percent} % (${detail})\n`)
      else {
        const filled = Math.round((percent / 100) * width)
        draw(`${label} [${'#'.repeat(filled).padEnd(width, '.')}] ${percent} % ${detail}`)
      }
    }
    return Effect.ensuring(
      work({ update }),
      Effect.sync(() => {
        if (length === 0) return
        draw('')
        stderr.write('\r')
      }),
    )
  })

/** Writes a piece of a large result, as fast as its reader takes it. */
export const writeTo = (stream: NodeJS.WritableStream, text: string) =>
  Effect.async<void, ReturnType<typeof failed>>((resume) => {
    stream.write(text, (error) =>
      resume(error ? Effect.fail(failed(`writing stopped: ${error.message}`)) : Effect.void),
    )
  })

const units = ['bytes', 'KB', 'MB', 'GB', 'TB']

export const bytesText = (bytes: number): string => {
  let [value, unit] = [bytes, 0]
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_000
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export const countText = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`

const steps: ReadonlyArray<readonly [seconds: number, unit: string]> = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
]

/** In the greatest unit that fits, such as `3 d`. */
export const ageText = (seconds: number): string => {
  const [size, unit] = steps.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}

/** Characters that a terminal may act on, or that turn the direction of what follows. */
const unprintable = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** As JSON, which is what names that people chose are told as. */
export const quoted = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replaceAll(unprintable, escaped)

/** Ids of adopted databases may be anything, and are told without quotes. */
export const printable = (text: string) =>
  text.replaceAll(/\p{Cc}/gu, escaped).replaceAll(unprintable, escaped)

/** Rows of texts, one below the other; the last of each is not filled up. */
const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]?.map((_, place) => Math.max(...rows.map((row) => row[place]!.length))) ?? []
  return rows.map((row) =>
    row
      .map((text, place) => (place === row.length - 1 ? text : text.padEnd(widths[place]!)))
      .join('  ')
      .trimEnd(),
  )
}

/** A list: one JSON value if that is wanted, else aligned, and to somebody what it is when there is nothing. */
export const sayList = <A>(
  items: ReadonlyArray<A>,
  {
    json,
    none,
    row,
  }: { readonly json: boolean; readonly none: string; readonly row: (item: A) => ReadonlyArray<string> },
) => {
  if (json) return say(quoted(items, 2))
  if (items.length === 0) return remark(none)
  return say(columns(items.map((item) => row(item).map(printable))).join('\n'))
}
