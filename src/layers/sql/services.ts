/**
 * The services that are one implementation on every engine.
 */
import { Layer } from 'effect'
import type { Administration } from '../../services/Administration.js'
import type { DeploymentAdmins } from '../../services/DeploymentAdmins.js'
import type { Erasure } from '../../services/Erasure.js'
import type { BackgroundJobs } from '../../services/BackgroundJobs.js'
import type { IdGenerator } from '../../services/IdGenerator.js'
import type { Invites } from '../../services/Invites.js'
import type { Maintenance } from '../../services/Maintenance.js'
import type { Memberships } from '../../services/Memberships.js'
import type { ProviderConfig } from '../../services/ProviderConfig.js'
import type { RateLimits } from '../../services/RateLimits.js'
import type { UploadIntents } from '../../services/UploadIntents.js'
import type { WorkspaceSettings } from '../../services/WorkspaceSettings.js'
import type { Webhooks } from '../../services/Webhooks.js'
import type { WorkspaceStore } from '../../services/WorkspaceStore.js'
import * as Admin from './Administration.js'
import * as Jobs from './BackgroundJobs.js'
import type { Batches } from './Batches.js'
import * as Admins from './DeploymentAdmins.js'
import * as Erasing from './Erasure.js'
import * as Invitations from './Invites.js'
import * as MaintenanceLayer from './Maintenance.js'
import * as Members from './Memberships.js'
import * as Limits from './RateLimits.js'
import * as Intents from './UploadIntents.js'
import * as WebhooksLayer from './Webhooks.js'
import * as Settings from './WorkspaceSettings.js'
import * as Store from './WorkspaceStore.js'

export type SqlServices =
  | UploadIntents
  | WorkspaceStore
  | Memberships
  | RateLimits
  | Maintenance
  | Invites
  | Administration
  | WorkspaceSettings
  | DeploymentAdmins
  | BackgroundJobs
  | Webhooks
  | Erasure

export const sqlServices: Layer.Layer<SqlServices, never, Batches | IdGenerator | ProviderConfig> =
  Layer.mergeAll(
    Intents.layer,
    Store.layer,
    Members.layer,
    Limits.layer,
    MaintenanceLayer.layer,
    Invitations.layer,
    Admin.layer,
    Settings.layer,
    Admins.layer,
    Jobs.layer,
    WebhooksLayer.layer,
    Erasing.layer,
  )
