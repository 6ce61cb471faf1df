// A new workspace.
import { defineEventHandler } from 'h3'
import { currentStore, requireSession } from '../../auth/session'
import { detailsOf } from '../../workspaces'

export default defineEventHandler(async (event) => {
  const details = await detailsOf(event)
  const { user } = await requireSession(event)
  return currentStore().createWorkspace({ userId: user.id, ...details })
})
