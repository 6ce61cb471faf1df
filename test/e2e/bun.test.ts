/**
 * The built host, run by Bun: what passes on Node passes there, over HTTP.
 */
import { bun } from '../support/bun.js'
import { deep } from '../support/property.js'
import { runHostsBy } from '../support/server.js'

runHostsBy(bun)

/** Declares the tests of a file as those of this one: by a name of their own, since a module is run once for all files of a worker. */
const declare = (name: string) => import(/* @vite-ignore */ `./${name}.test.ts?bun`)

await declare('host2026')
// They are more of the host than of the engine, which the first uses as they do.
if (deep) {
  await declare('host2026Sync')
  await declare('host2026Features')
}
