/**
 * What counts as used: the entry points of the package, the command, and what a script, a test runner or Nuxt runs.
 */
import type { KnipConfig } from 'knip'

export default {
  workspaces: {
    '.': {
      entry: [
        'src/{index,services/index,layers/index,nuxt/adapters,nuxt/module,nuxt/plugin,nuxt/workerPlugin,nuxt/workerAdapters,layers/worker}.ts',
        'src/cli/main.ts',
        // Bun is told to run it.
        'test/support/bunServer.ts',
        '{scripts,.ci}/*.mjs',
        // Processes that benchmarks start, and what stands for Vitest there.
        'bench/{growthLook,workDir}.mjs',
        // Nuxt finds these by where they are, and imports what the last two export by its name.
        'playground/nuxt.config.ts',
        'playground/server/api/**/*.ts',
        'playground/app/{app.vue,pages/*.vue,components/*.vue}',
        'playground/app/{composables,utils}/*.ts',
        // Named by the playground's configuration.
        'playground/server/observability.ts',
        // Our module finds these, and what it makes imports from them.
        'playground/server/{auth/store,sync/gateway}/registry.ts',
        'test/fixtures/*/server/**/registry.ts',
        'test/fixtures/*/server/utils/{background-jobs/store,webhooks/runtime}.ts',
        'test/fixtures/*/nuxt.config.ts',
        'test/fixtures/*/app/app.vue',
        'test/fixtures/*/server/{api,plugins}/**/*.ts',
      ],
      project: ['{src,migrations,test,bench,playground,scripts,.ci}/**/*.{ts,mjs,vue}'],
      // Aliases of the host's build, which our module makes.
      paths: {
        '#or3-provider-sqlite/host': ['./test/support/host.ts'],
        '#or3-provider-sqlite/observability': ['./playground/server/observability.ts'],
        '#or3-provider-sqlite/health': ['./test/support/host.ts'],
      },
    },
    'examples/*': { entry: ['src/main.ts'], project: ['**/*.ts'] },
  },
  // Comes with Nuxt; a program that is found by the name of this machine's system.
  ignoreDependencies: ['vue', '@flydotio/litestream'],
  // Programs of the system.
  ignoreBinaries: ['apt-get', 'sqlite3'],
  // A type that is exported for the sake of the declarations it appears in is used there.
  ignoreExportsUsedInFile: { class: true, interface: true, type: true },
  // The query-plan tests go through whole modules for these.
  tags: ['-readByTests'],
} satisfies KnipConfig
