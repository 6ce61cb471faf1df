// Chooses the workspace of the next sessions.
import { defineEventHandler } from 'h3'
import { currentStore, requireSession } from '../../auth/session'
import { bodyOf, text } from '../../validate'

export default defineEventHandler(async (event) => {
  const workspaceId = text((await bodyOf(event)).workspaceId, 'workspaceId', { max: 256 })
  const { user } = await requireSession(event)
  await currentStore().setActiveWorkspace({ userId: user.id, workspaceId })
  return { ok: true }
})
