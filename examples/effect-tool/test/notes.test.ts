/**
 * The program's own logic, on the provider's in-memory layer: no database, no files, no waiting.
 */
import { describe, expect, it } from '@effect/vitest'
import { Chunk, Effect, Fiber, Layer, Option, Stream, TestClock } from 'effect'
import { layerMemory } from 'or3-provider-sqlite/layers'
import { StorageError, SyncGateway } from 'or3-provider-sqlite/services'
import { changesSince, cursorOf, toLine } from '../src/archive.js'
import { importNote, importNotes } from '../src/importNotes.js'
import { Note } from '../src/Note.js'
import { Settings } from '../src/Settings.js'

const settings = (workspaceId = 'w1', userId?: string) =>
  Layer.succeed(Settings, { database: 'none', workspaceId, userId: Option.fromNullable(userId) })

const note = (given: Partial<Note> = {}) =>
  new Note({ id: 'n1', revision: 1, title: 'Milk', text: 'Buy some', ...given })

describe('an import', () => {
  it.effect('tells new, repeated, outdated and refused notes apart', () =>
    Effect.gen(function* () {
      expect(yield* importNote(note({ revision: 2 }))).toBe('imported')
      expect(yield* importNote(note({ revision: 2 }))).toBe('known')
      expect(yield* importNote(note({ revision: 1 }))).toBe('outdated')
      expect(yield* importNote(note({ revision: 2, text: 'Other' }))).toBe('refused')
      expect(yield* importNote(note({ id: 'n2', revision: -1 }))).toBe('refused')
      expect(yield* importNote(note({ id: 'n3', remind: 'bob' }))).toBe('refused')
      expect(yield* importNote(note({ id: 'n4', remind: 'ann' }))).toBe('imported')
    }).pipe(Effect.provide(Layer.merge(layerMemory, settings('w1', 'ann')))),
  )

  it.effect('stops on settings that no note can be imported with', () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(importNotes([note()]))
      expect(error.message).toBe('wrong settings: scope.workspaceId has 1 to 256 characters')
    }).pipe(Effect.provide(Layer.merge(layerMemory, settings('')))),
  )

  it.effect('tries again while the database is busy, and then gives up', () =>
    Effect.gen(function* () {
      let calls = 0
      const busy = Layer.mock(SyncGateway, {
        pushOne: () =>
          Effect.suspend(() => {
            calls += 1
            return new StorageError({ reason: 'busy', operation: 'push' })
          }),
      })
      const fiber = yield* Effect.fork(
        importNote(note()).pipe(Effect.provide(Layer.merge(busy, settings())), Effect.flip),
      )
      yield* TestClock.adjust('1 minute')
      expect((yield* Fiber.join(fiber))._tag).toBe('ImportFailed')
      expect(calls).toBe(5)
    }),
  )
})

describe('the archive', () => {
  it.effect('follows what is imported meanwhile, and goes on where it ended', () =>
    Effect.gen(function* () {
      yield* importNote(note())
      const archiving = yield* Effect.fork(Stream.runCollect(Stream.take(changesSince(0), 2)))
      yield* importNote(note({ id: 'n2' }))
      const archive = Chunk.join(Chunk.map(yield* Fiber.join(archiving), toLine), '')
      expect(cursorOf(archive)).toBe(2)

      yield* importNote(note({ id: 'n3' }))
      const rest = yield* Stream.runCollect(Stream.take(changesSince(cursorOf(archive)), 1))
      expect(Chunk.toReadonlyArray(rest)).toMatchObject([{ pk: 'n3', serverVersion: 3 }])
    }).pipe(Effect.provide(Layer.merge(layerMemory, settings()))),
  )

  it('starts from the beginning when there is none', () => {
    expect(cursorOf('')).toBe(0)
  })
})
