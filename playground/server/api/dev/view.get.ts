// What the server holds of the session's workspace. Only where the development sign-in is.
import { defineEventHandler } from 'h3'
import { requireSession } from '../../auth/session'
import { requireSignInAllowed } from '../../auth/signIn'
import { inspect } from '../../inspect'

export default defineEventHandler(async (event) => {
  requireSignInAllowed()
  const { workspace } = await requireSession(event)
  return inspect(workspace.id)
})
