// Public keys of somebody whose secrets are on another machine, as `keys generate --json` and `keys show --json` print them there.
import { isJsonArray, isJsonObject } from '../keys/json.ts'
import { keyIdOf, type PublicKey, parsePublicKey } from '../keys/key.ts'
import { kindOf, parseBroughtJson, wrongFile } from './brought-file.ts'
import type { HolderRole } from './config.ts'
import { PublishError } from './publish-error.ts'
import { holderRoles } from './root/edit.ts'

/** The keys in such a file by role. Throws PublishError `usage` for what is none, TrustError `bad-key` for keys that may not count. */
export function parsePublicKeys(bytes: Uint8Array, file: string): ReadonlyMap<HolderRole, PublicKey> {
  const value = parseBroughtJson(bytes, file, 'public keys')
  const list = isJsonObject(value) ? value.keys : undefined
  if (kindOf(value) !== 'public keys' || list === undefined || !isJsonArray(list))
    throw wrongFile(value, file, 'public keys as keys generate --json prints them')
  const found = new Map<HolderRole, PublicKey>()
  for (const entry of list) {
    const role = isJsonObject(entry) ? holderRoles.find((known) => known === entry.role) : undefined
    const object = isJsonObject(entry) ? (entry.key ?? entry.public) : undefined
    if (role === undefined || object === undefined || !isJsonObject(object))
      throw new PublishError('usage', `${file}: expected a role and its public key in every entry of keys`)
    if (found.has(role)) throw new PublishError('usage', `${file} holds two keys for ${role}`)
    found.set(role, parsePublicKey(keyIdOf(object), object))
  }
  return found
}

/** The key for a role. Throws PublishError `usage` if it is not among them. */
export function requireRole(keys: ReadonlyMap<HolderRole, PublicKey>, role: HolderRole, name: string): PublicKey {
  const key = keys.get(role)
  if (key !== undefined) return key
  throw new PublishError(
    'usage',
    `there is no ${role} key of ${name}: expected one for each of ${holderRoles.join(', ')}`,
  )
}
