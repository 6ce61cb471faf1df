/**
 * What the host's configuration selects of this package.
 */

/** The part of the host's runtime configuration that is read. */
export interface HostConfig {
  readonly auth?: { readonly enabled?: boolean } | undefined
  readonly sync?: { readonly enabled?: boolean; readonly provider?: string } | undefined
  readonly backgroundJobs?: { readonly enabled?: boolean; readonly storageProvider?: string } | undefined
  /** The February host's selection; later ones say the same in both places. */
  readonly public?: { readonly sync?: { readonly provider?: string } | undefined } | undefined
}

/** Which of the host's registries get something. */
export interface Selection {
  /** Users and workspaces, and all else but sync: whenever anything of this package is selected. */
  readonly store: boolean
  /** Push and pull: unless sync is off. */
  readonly gateway: boolean
}

/**
 * One rule for all generations of the host. Without auth nothing is selected. The provider of sync is the one that the public part
 * names, as in February; else the one of the private part; else ours, as nobody else was named.
 */
export const selectionOf = (config: HostConfig, id: string): Selection => {
  if (config.auth?.enabled !== true) return { store: false, gateway: false }
  const sync = (config.public?.sync?.provider ?? config.sync?.provider ?? id) === id
  const jobs = config.backgroundJobs?.enabled === true && config.backgroundJobs.storageProvider === id
  return { store: sync || jobs, gateway: sync && config.sync?.enabled !== false }
}
