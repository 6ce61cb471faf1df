// The workspaces of whoever asks.
import { defineEventHandler } from 'h3'
import { currentStore, requireSession } from '../../auth/session'

export default defineEventHandler(async (event) => {
  const { user } = await requireSession(event)
  return { workspaces: await currentStore().listUserWorkspaces(user.id) }
})
