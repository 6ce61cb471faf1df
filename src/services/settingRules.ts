/**
 * The rules of requests about settings and administrators. Shared by every implementation.
 */
import { Either } from 'effect'
import { idIn, nullableIn, textIn, readFields } from './inputRules.js'

const settingLength = 262_144

export const checkSettingKey = (request: unknown) => {
  const { workspaceId, key } = readFields(request)
  return Either.all({ workspaceId: idIn('workspaceId', workspaceId), key: idIn('key', key) })
}

export const checkSetting = (request: unknown) =>
  Either.all({
    key: checkSettingKey(request),
    value: textIn('value', readFields(request).value, settingLength, 0),
  })

export const checkGrant = (request: unknown) => {
  const { userId, createdByUserId } = readFields(request)
  return Either.all({
    userId: idIn('userId', userId),
    createdBy: nullableIn(createdByUserId, (value) => idIn('createdByUserId', value)),
  })
}

export const checkUserKey = (request: unknown) => idIn('userId', readFields(request).userId)
