/**
 * or3-provider-sqlite: sync and workspaces for OR3 Chat on one SQLite file, as Effect services.
 */
export * from './layers/index.js'
export * from './services/index.js'
