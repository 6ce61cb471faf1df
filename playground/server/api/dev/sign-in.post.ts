// Signs in as the name that is given.
import { defineEventHandler } from 'h3'
import { requireSignInAllowed, signIn } from '../../auth/signIn'
import { bodyOf, text } from '../../validate'

export default defineEventHandler(async (event) => {
  requireSignInAllowed()
  const name = text((await bodyOf(event)).name, 'name', { max: 100 })
  signIn(event, name)
  return { name }
})
