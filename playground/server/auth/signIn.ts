/**
 * The development sign-in: a name in a cookie, no password. Anybody can be anybody, so production builds refuse it.
 */
import { createError, deleteCookie, getCookie, type H3Event, setCookie } from 'h3'
import { useRuntimeConfig } from 'nitropack/runtime'

const cookie = 'or3_dev_user'

const isAllowed = () => import.meta.dev || useRuntimeConfig().devSignIn === true

export const requireSignInAllowed = () => {
  if (isAllowed()) return
  throw createError({
    statusCode: 403,
    statusMessage: 'The development sign-in is off: set NUXT_DEV_SIGN_IN=true',
  })
}

export const signIn = (event: H3Event, name: string) =>
  setCookie(event, cookie, name, { httpOnly: true, sameSite: 'lax', path: '/' })

export const signOut = (event: H3Event) => deleteCookie(event, cookie, { path: '/' })

export const signedInName = (event: H3Event): string | undefined =>
  isAllowed() ? getCookie(event, cookie) || undefined : undefined
