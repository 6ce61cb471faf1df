// Forgets who was signed in.
import { defineEventHandler } from 'h3'
import { signOut } from '../../auth/signIn'

export default defineEventHandler((event) => {
  signOut(event)
  return { ok: true }
})
