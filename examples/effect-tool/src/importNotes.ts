/**
 * Imports notes one by one, and tells what became of each.
 */
import { Data, Effect, Option, Schedule } from 'effect'
import { type StorageError, SyncGateway } from 'or3-provider-sqlite/services'
import { type Note, toOp } from './Note.js'
import { Settings } from './Settings.js'

export type Fate = 'imported' | 'outdated' | 'known' | 'refused'

/** The import stopped. What was imported before stays; importing again goes on from there. */
export class ImportFailed extends Data.TaggedError('ImportFailed')<{ readonly message: string }> {}

const refused = (note: Note, why: string) =>
  Effect.as(Effect.logWarning(`${note.id}: ${why}`), 'refused' as Fate)

export const importNote = (note: Note) =>
  Effect.gen(function* () {
    const gateway = yield* SyncGateway
    const { workspaceId, userId } = yield* Settings
    const caller = Option.getOrUndefined(Option.map(userId, (userId) => ({ userId, workspaceId })))
    return yield* gateway.pushOne({ scope: { workspaceId }, caller, op: toOp(note) })
  }).pipe(
    // A server that writes, or a full disk: nothing of a failed call was written, so it may be repeated.
    Effect.retry({
      while: (error) => error._tag === 'StorageError' && error.isRetryable,
      schedule: Schedule.intersect(Schedule.exponential('200 millis'), Schedule.recurs(4)),
    }),
    Effect.map(({ applied }): Fate => (applied ? 'imported' : 'outdated')),
    // Errors of this note: the others go on.
    Effect.catchTags({
      IdempotencyReplay: () => Effect.succeed<Fate>('known'),
      OpConflict: () => refused(note, `revision ${note.revision} was imported before with another content`),
      InvalidOp: ({ rule, message }) => refused(note, `${message} (${rule})`),
      OpForbidden: () => refused(note, `is a reminder for somebody else`),
    }),
    // Errors of every note: no use in going on.
    Effect.catchTags({
      StorageError: ({ message }: StorageError) => new ImportFailed({ message }),
      InvalidRequest: ({ message }) => new ImportFailed({ message: `wrong settings: ${message}` }),
      ScopeForbidden: ({ message }) => new ImportFailed({ message }),
    }),
  )

/** How many notes met which fate. */
export const importNotes = (notes: Iterable<Note>) =>
  Effect.reduce(notes, { imported: 0, outdated: 0, known: 0, refused: 0 }, (counts, note) =>
    Effect.map(importNote(note), (fate) => ({ ...counts, [fate]: counts[fate] + 1 })),
  )
