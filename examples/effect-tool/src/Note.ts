/**
 * A note as another program exported it, and the op that brings it into a workspace.
 */
import { Schema } from 'effect'
import type { PendingOp } from 'or3-provider-sqlite/services'

export class Note extends Schema.Class<Note>('Note')({
  id: Schema.String,
  /** Counts the note's revisions, from 1. */
  revision: Schema.Number,
  title: Schema.String,
  text: Schema.String,
  /** Makes it a reminder for this user. */
  remind: Schema.optional(Schema.String),
}) {}

/** One line of an export. */
export const decodeLine = Schema.decode(Schema.parseJson(Note))

const deviceId = 'note-archive'

/** The same revision of a note always gives the same op, so a repeated import is recognised as a replay. */
export const toOp = ({ id, revision, title, text, remind }: Note): PendingOp => ({
  tableName: remind === undefined ? 'posts' : 'notifications',
  operation: 'put',
  pk: id,
  payload: { id, title, content: text, ...(remind === undefined ? {} : { user_id: remind }) },
  // A device that edits the note later counts its clock up, and wins.
  stamp: {
    deviceId,
    opId: `${deviceId}:${id}:${revision}`,
    hlc: `0000000000000:0000:${deviceId}`,
    clock: revision,
  },
})
