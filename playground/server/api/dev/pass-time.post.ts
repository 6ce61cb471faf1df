// Makes the history of the session's workspace older, so that nobody has to wait for that. Only where the development sign-in is.
import { defineEventHandler } from 'h3'
import { requireSession } from '../../auth/session'
import { requireSignInAllowed } from '../../auth/signIn'
import { makeOlder } from '../../inspect'
import { bodyOf, integer } from '../../validate'

export default defineEventHandler(async (event) => {
  requireSignInAllowed()
  const { workspace } = await requireSession(event)
  makeOlder(workspace.id, integer((await bodyOf(event)).seconds, 'seconds', { min: 1, max: 86_400 }))
  return { ok: true }
})
