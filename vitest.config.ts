/**
 * How tests run: all of them from one command, with the host's aliases in place and one folder for what is made once.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    // The host's aliases, so that the real plugin can be tested.
    alias: [
      {
        find: /^(#imports|#or3-.*)$/,
        replacement: fileURLToPath(new URL('test/support/host.ts', import.meta.url)),
      },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/workDir.ts',
    setupFiles: 'test/support/everyFile.ts',
    silent: 'passed-only',
    // Effect and the package are loaded once for a core, not for each of 150 files; `everyFile.ts` leaves nothing behind.
    poolOptions: { forks: { isolate: false } },
    // Much of a run is waiting for processes, so all cores, where Vitest leaves one free.
    maxWorkers: '100%',
    // As many: the pool ends the whole run when it takes a third idle worker away before the end.
    minWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 900_000,
  },
})
