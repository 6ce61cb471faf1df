/**
 * The archive: every change of the workspace's notes as a line, in the order in which the server took them.
 */
import { Effect, Stream } from 'effect'
import { SyncGateway, type SyncChange } from 'or3-provider-sqlite/services'
import { Settings } from './Settings.js'

/** What comes after a cursor: first what is there, then what any process commits. Goes on until it is interrupted. */
export const changesSince = (cursor: number) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const gateway = yield* SyncGateway
      const { workspaceId } = yield* Settings
      return gateway.changes(workspaceId, cursor, { tables: ['posts', 'notifications'] })
    }),
  )

export const toLine = (change: SyncChange): string => `${JSON.stringify(change)}\n`

/** Where an archive ends: the cursor to go on from. */
export const cursorOf = (archive: string): number => {
  const last = archive.trimEnd().split('\n').at(-1)
  return last === undefined || last === '' ? 0 : (JSON.parse(last) as SyncChange).serverVersion
}
