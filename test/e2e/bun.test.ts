/**
 * The built host, run by Bun: what passes on Node passes there, over HTTP.
 */
import { bun } from '../support/bun.js'
import { deep } from '../support/property.js'
import { runHostsBy } from '../support/server.js'

runHostsBy(bun)

await import('./host2026.test.js')
// They are more of the host than of the engine, which the first uses as they do.
if (deep) {
  await import('./host2026Sync.test.js')
  await import('./host2026Features.test.js')
}
