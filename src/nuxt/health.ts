/**
 * An answer for load balancers and container engines, where the host's configuration names a path for it.
 */
import type { NitroApp } from 'nitropack'
import { defineEventHandler, setResponseHeader, setResponseStatus } from '#imports'
import path from '#or3-provider-sqlite/health'
import type { Provider } from './openProvider.js'

/** 200 while the database answers, else 503; nothing that is not for everybody. */
export const serveHealth = ({ router }: NitroApp, { health }: Pick<Provider, 'health'>) => {
  if (path === undefined) return
  const handler = defineEventHandler(async (event) => {
    const isWell = await health().then(
      () => true,
      () => false,
    )
    setResponseHeader(event, 'cache-control', 'no-store')
    setResponseStatus(event, isWell ? 200 : 503)
    return { status: isWell ? 'ok' : 'unavailable' }
  })
  router.add(path, handler, ['get', 'head'])
}
