// Removes a workspace.
import { defineEventHandler } from 'h3'
import { currentStore, requireSession } from '../../auth/session'
import { workspaceIdOf } from '../../workspaces'

export default defineEventHandler(async (event) => {
  const { user } = await requireSession(event)
  await currentStore().removeWorkspace({ userId: user.id, workspaceId: workspaceIdOf(event) })
  return { ok: true }
})
