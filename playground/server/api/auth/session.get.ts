// The session of whoever asks; null for nobody.
import { defineEventHandler } from 'h3'
import { resolveSession } from '../../auth/session'

export default defineEventHandler(async (event) => ({ session: await resolveSession(event) }))
