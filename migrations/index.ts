/**
 * The schema's history, in order. Imported statically: after a host's bundler has run, no path of ours exists.
 *
 * A migration must be synchronous (no timers, no promises): it runs inside one transaction while the host starts.
 */
import init from './001_init.js'
import syncTables from './002_sync_tables.js'
import adoptLegacy from './003_adopt_legacy.js'
import offsets from './004_offsets.js'
import opIds from './005_op_ids.js'
import files from './006_files.js'
import deviceOwners from './007_device_owners.js'
import people from './008_people.js'
import rateLimits from './009_rate_limits.js'
import backgroundJobs from './010_background_jobs.js'
import webhooks from './011_webhooks.js'
import adoptFeatures from './012_adopt_features.js'
import addressesAndSizes from './013_addresses_and_sizes.js'
import erasing from './014_erasing.js'

export const migrations = {
  '001_init': init,
  '002_sync_tables': syncTables,
  '003_adopt_legacy': adoptLegacy,
  '004_offsets': offsets,
  '005_op_ids': opIds,
  '006_files': files,
  '007_device_owners': deviceOwners,
  '008_people': people,
  '009_rate_limits': rateLimits,
  '010_background_jobs': backgroundJobs,
  '011_webhooks': webhooks,
  '012_adopt_features': adoptFeatures,
  '013_addresses_and_sizes': addressesAndSizes,
  '014_erasing': erasing,
} as const
