/** Imports go one way: nuxt → layers → services, cli → layers, layers → migrations. */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'services-import-only-effect',
      comment: 'Services say what, not how.',
      severity: 'error',
      from: { path: '^src/services/' },
      to: { pathNot: ['^src/services/', '^node_modules/effect/'] },
    },
    {
      name: 'layers-know-no-host',
      comment: 'Layers import services, migrations, Effect packages, the drivers of the engines and Node.',
      severity: 'error',
      from: { path: '^src/layers/' },
      to: {
        pathNot: [
          '^src/(layers|services)/',
          '^migrations/',
          '^node_modules/(effect|@effect|better-sqlite3|@libsql)/',
          '^node:',
        ],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'memory-knows-no-sql',
      comment: 'What the SQL layers are held to is not made of them.',
      severity: 'error',
      from: { path: '^src/layers/memory/' },
      to: { path: '^src/layers/(sql|synchronous|batch|operating)/' },
    },
    {
      name: 'sql-knows-no-engine',
      comment: 'Statements and their reading are the same on every engine.',
      severity: 'error',
      from: { path: '^src/layers/sql/' },
      to: { path: ['^src/layers/(synchronous|batch|operating)/', '^node_modules/better-sqlite3/'] },
    },
    {
      name: 'batches-need-no-driver',
      comment: "A Worker's bundle must not get an engine of the process.",
      severity: 'error',
      from: { path: '^src/layers/batch/' },
      to: {
        path: ['^src/layers/(synchronous|operating)/', '^node_modules/better-sqlite3/'],
        reachable: true,
      },
    },
    {
      name: 'synchronous-needs-no-batch-layers',
      comment: 'What both need stands in sql/.',
      severity: 'error',
      from: { path: '^src/layers/synchronous/' },
      to: { path: '^src/layers/batch/' },
    },
    {
      name: 'engines-serve-without-the-command',
      severity: 'error',
      from: { path: '^src/layers/synchronous/' },
      to: { path: '^src/layers/operating/' },
    },
    {
      name: 'command-knows-no-host',
      comment: 'The command is a program of its own beside the server.',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: {
        pathNot: ['^src/(cli|layers|services)/', '^node_modules/(effect|@effect)/', '^node:'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'nobody-imports-the-command',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'migrations-import-only-effect',
      severity: 'error',
      from: { path: '^migrations/' },
      to: {
        pathNot: ['^migrations/', '^node_modules/effect/', '^node_modules/@effect/sql/', '^node:crypto$'],
        dependencyTypesNot: ['core'],
      },
    },
    {
      name: 'source-does-not-import-tests',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { path: '^(test|bench|playground|scripts|examples)/' },
    },
    {
      name: 'hosts-and-examples-have-only-what-is-published',
      comment: 'They stand for hosts and programs of others, which import the package by its name.',
      severity: 'error',
      from: { path: '^(playground|examples|test/fixtures)/' },
      to: { path: '^(src|migrations|test/(?!fixtures)|bench|scripts)/' },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^(src|migrations)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    },
    {
      name: 'published-code-uses-published-dependencies',
      comment:
        'Types of the host are its own, and the command has in it what it needs; everything else must be installed with the package.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: ['\\.d\\.ts$', '^src/cli/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'not-resolvable',
      severity: 'error',
      from: { pathNot: '^src/nuxt/(plugin|workerPlugin|register|health)\\.ts$' },
      to: { couldNotResolve: true, pathNot: '^(or3-provider-sqlite|\\.\\./dist/)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist/|playground/\\.)' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
}
