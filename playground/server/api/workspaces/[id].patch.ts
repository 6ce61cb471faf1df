// Another name or description for a workspace.
import { defineEventHandler } from 'h3'
import { currentStore, requireSession } from '../../auth/session'
import { detailsOf, workspaceIdOf } from '../../workspaces'

export default defineEventHandler(async (event) => {
  const details = await detailsOf(event)
  const { user } = await requireSession(event)
  await currentStore().updateWorkspace({ userId: user.id, workspaceId: workspaceIdOf(event), ...details })
  return { ok: true }
})
