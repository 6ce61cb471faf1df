/**
 * Values as lines of text between two processes, whatever tests hand in: what JSON has no word for, what refers to itself or is
 * nested without end, and what throws when it is looked at.
 *
 * A line is a list of objects that refer to each other by their places; the first of them holds the value.
 */

/** What is no object, or `[place]` of one; of other kinds `[kind, text]`. */
type Part =
  null | boolean | number | string | readonly [place: number] | readonly [kind: string, text: string]

type Entry = readonly [key: string, part: Part]

type Shape =
  | readonly [kind: 'list', parts: ReadonlyArray<Part>]
  | readonly [kind: 'sparse', length: number, entries: ReadonlyArray<Entry>]
  | readonly [kind: 'object' | 'bare' | 'instance', entries: ReadonlyArray<Entry>]
  | readonly [kind: 'map' | 'set', parts: ReadonlyArray<Part>]
  | readonly [kind: 'date', time: Part]
  | readonly [kind: 'bytes', type: string, parts: ReadonlyArray<Part>]
  | readonly [kind: 'hostile']

const typedArrays: Readonly<Record<string, any>> = {
  ...{ Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array },
  ...{ Float32Array, Float64Array },
}

const throws: Part = ['throws', '']

const isThrows = (part: Part) => Array.isArray(part) && part[0] === 'throws'

/** One line. */
export const toLine = (value: unknown): string => {
  const shapes: Array<Shape> = []
  const places = new Map<object, number>()
  const found: Array<object> = []
  const partOf = (part: unknown): Part => {
    switch (typeof part) {
      case 'object': {
        if (part === null) return null
        let place = places.get(part)
        if (place === undefined) {
          place = found.push(part) - 1
          places.set(part, place)
        }
        return [place]
      }
      case 'number':
        return Number.isFinite(part) && !Object.is(part, -0)
          ? part
          : ['number', Object.is(part, -0) ? '-0' : String(part)]
      case 'string':
      case 'boolean':
        return part
      default:
        return [typeof part, typeof part === 'bigint' ? String(part) : '']
    }
  }
  const partAt = (object: object, key: string): Part => {
    try {
      return partOf((object as Record<string, unknown>)[key])
    } catch {
      return throws
    }
  }
  const shapeOf = (object: object): Shape => {
    // Some throw only when a field is asked for.
    Reflect.get(object, 'toJSON')
    if (object instanceof Date) return ['date', partOf(object.getTime())]
    if (object instanceof Map) return ['map', [...object].map(partOf)]
    if (object instanceof Set) return ['set', [...object].map(partOf)]
    if (ArrayBuffer.isView(object))
      return ['bytes', object.constructor.name, [...(object as Uint8Array)].map(partOf)]
    const keys = Object.keys(object)
    if (Array.isArray(object) && keys.length === object.length)
      return ['list', keys.map((key) => partAt(object, key))]
    const entries = keys.map((key) => [key, partAt(object, key)] as const)
    if (Array.isArray(object)) return ['sparse', object.length, entries]
    const prototype: unknown = Object.getPrototypeOf(object)
    return [prototype === null ? 'bare' : prototype === Object.prototype ? 'object' : 'instance', entries]
  }
  found.push([value])
  while (shapes.length < found.length) {
    try {
      shapes.push(shapeOf(found[shapes.length]!))
    } catch {
      shapes.push(['hostile'])
    }
  }
  return `${JSON.stringify(shapes)}\n`
}

const refuse = (): never => {
  throw new Error('hostile')
}

/** Stands for whatever class a value is of. */
class Instance {}

/** Without what it holds, but for what cannot be put into it later. */
const shellOf = (shape: Shape): object => {
  switch (shape[0]) {
    case 'list':
      return []
    case 'sparse':
      return new Array(shape[1])
    case 'object':
      return {}
    case 'bare':
      return Object.create(null) as object
    case 'instance':
      return new Instance()
    case 'map':
      return new Map()
    case 'set':
      return new Set()
    case 'date':
      return new Date(valueOf(shape[1], []) as number)
    case 'bytes':
      return typedArrays[shape[1]].from(shape[2].map((part) => valueOf(part, [])))
    case 'hostile':
      return new Proxy({}, { get: refuse, ownKeys: refuse, getPrototypeOf: refuse })
  }
}

const valueOf = (part: Part, objects: ReadonlyArray<object>): unknown => {
  if (!Array.isArray(part)) return part
  const [kind, text] = part as readonly [number | string, string]
  if (typeof kind === 'number') return objects[kind]
  switch (kind) {
    case 'number':
      return Number(text)
    case 'bigint':
      return BigInt(text)
    case 'symbol':
      return Symbol('s')
    case 'function':
      return () => 1
    default:
      return undefined
  }
}

export const fromLine = (line: string): unknown => {
  const shapes = JSON.parse(line) as ReadonlyArray<Shape>
  const objects = shapes.map(shellOf)
  const put = (object: object, entries: Iterable<Entry>) => {
    for (const [key, part] of entries) {
      Object.defineProperty(object, key, {
        ...(isThrows(part) ? { get: refuse } : { value: valueOf(part, objects), writable: true }),
        ...{ enumerable: true, configurable: true },
      })
    }
  }
  for (const [place, shape] of shapes.entries()) {
    const object = objects[place]!
    switch (shape[0]) {
      case 'list':
        put(
          object,
          shape[1].map((part, index) => [String(index), part] as const),
        )
        break
      case 'sparse':
        put(object, shape[2])
        break
      case 'object':
      case 'bare':
      case 'instance':
        put(object, shape[1])
    }
  }
  // Their entries are lists, which are there now.
  for (const [place, shape] of shapes.entries()) {
    if (shape[0] !== 'map' && shape[0] !== 'set') continue
    const parts = shape[1].map((part) => valueOf(part, objects))
    for (const part of parts) {
      if (shape[0] === 'set') (objects[place] as Set<unknown>).add(part)
      else (objects[place] as Map<unknown, unknown>).set(...(part as [unknown, unknown]))
    }
  }
  return (objects[0] as ReadonlyArray<unknown>)[0]
}

/** Gives each line of what comes in pieces. */
export const lines = (onLine: (line: string) => void): ((piece: string) => void) => {
  let begun: Array<string> = []
  return (piece) => {
    const parts = piece.split('\n')
    begun.push(parts[0]!)
    for (const part of parts.slice(1)) {
      onLine(begun.join(''))
      begun = [part]
    }
  }
}
