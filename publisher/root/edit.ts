// Editing who may sign: root and targets as raw trees, from what is published to what is to be signed next.
//
//   openRoot                              what is published, or what waits to be signed over it
//   applyNewKey, applyRemovedKey          a person's key joins a role, or leaves it
//   applyReplacedKey                      the same person, another key
//   applyThreshold                        how many must sign
//   applyOnlineKeys                       the server's keys for snapshot and timestamp
//   closeRoot                             what has changed, one version up, with a fresh expiry
//
// A field that this program does not know was signed before and is signed again. Nothing here reads a clock, a disk or a key's secret. People's names stand
// beside the keys, in `key_names`, never inside a key object: a key's id is the hash of all its fields.
import { canonicalBytes } from '../../keys/canonical.ts'
import { type PublicKey, parsePublicKey } from '../../keys/key.ts'
import type { RoleKeys } from '../../keys/threshold.ts'
import { DIRECTOR, DIRECTOR_PATHS } from '../../schema/assignment.ts'
import type { JsonObject, JsonValue } from '../../schema/json-value.ts'
import { rootShape, targetsShape } from '../../schema/metadata.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { channels } from '../../schema/version.ts'
import type { HolderRole } from '../config.ts'
import { type ClosedRole, utcSeconds, VALID_MS } from '../edit.ts'
import { equalBytes } from '../equal-bytes.ts'
import { PublishError } from '../publish-error.ts'

/** The two signed parts that say who may sign, while they are edited. */
export interface RootDraft {
  readonly published: Signed
  readonly root: JsonObject
  readonly targets: JsonObject
}

interface Signed {
  readonly root: JsonObject
  readonly targets: JsonObject
}

/** The roles that a person's key can be for; `root` means root and targets. */
export const holderRoles: readonly HolderRole[] = ['root', ...channels]

/** A draft over what is published. `waiting`: what was edited before and is not published yet, of either document. */
export function openRoot(published: Signed, waiting: Partial<Signed> = {}): RootDraft {
  return { published, root: waiting.root ?? published.root, targets: waiting.targets ?? published.targets }
}

/** Key ids of a role, with people's names where they are known. */
export interface NamedKey {
  readonly keyid: string
  readonly name: string | undefined
}

/** Who may sign for a role by this draft, in the order of the document. */
export function keysNamedFor(draft: Signed, role: HolderRole): readonly NamedKey[] {
  const names = objectAt(documentOf(draft, role), 'key_names')
  return keyIdsOf(roleIn(draft, role)).map((keyid) => ({ keyid, name: textOf(names[keyid]) }))
}

/** One more key for a role. Throws PublishError `usage` if the role names this very key already, however it is spelled. */
export function applyNewKey(draft: RootDraft, role: HolderRole, key: PublicKey, name: string): RootDraft {
  const twin = roleKeysIn(draft, role).keys.find(({ material }) => material === key.material)
  if (twin !== undefined)
    throw new PublishError(
      'usage',
      `${role} names this key already: ${twin.keyid.slice(0, 8)} (${nameIn(draft, role, twin.keyid)})`,
    )
  return withRole(draft, role, ({ keyids, ...rest }) => ({ ...rest, keyids: [...asList(keyids), key.keyid] }), {
    keys: { [key.keyid]: key.object },
    names: { [key.keyid]: name },
  })
}

/** A role without this key. The threshold stays as it is. Throws PublishError `usage` if the role does not name it. */
export function applyRemovedKey(draft: RootDraft, role: HolderRole, keyid: string): RootDraft {
  if (!keyIdsOf(roleIn(draft, role)).includes(keyid))
    throw new PublishError('usage', `${role} does not name the key ${keyid.slice(0, 8)}`)
  return withRole(draft, role, (before) => ({
    ...before,
    keyids: asList(before.keyids).filter((one) => one !== keyid),
  }))
}

/** The same person with another key instead. Throws as the two above. */
export function applyReplacedKey(
  draft: RootDraft,
  role: HolderRole,
  change: { readonly from: string; readonly to: PublicKey; readonly name: string },
): RootDraft {
  return applyRemovedKey(applyNewKey(draft, role, change.to, change.name), role, change.from)
}

/** A role that needs so many signatures. */
export function applyThreshold(draft: RootDraft, role: HolderRole, threshold: number): RootDraft {
  return withRole(draft, role, (before) => ({ ...before, threshold }))
}

/** Exactly these keys for a role of the server, as TUF key objects by key id; its threshold stays. Throws PublishError `usage` for too few. */
export function applyOnlineKeys(draft: RootDraft, role: 'snapshot' | 'timestamp', keys: JsonObject): RootDraft {
  const roles = objectAt(draft.root, 'roles')
  const before = objectAt(roles, role)
  const keyids = Object.keys(keys)
  if (keyids.length < Number(before.threshold))
    throw new PublishError('usage', `${role} needs ${String(before.threshold)} keys, and only ${keyids.length} came`)
  const root = {
    ...draft.root,
    keys: { ...objectAt(draft.root, 'keys'), ...keys },
    roles: { ...roles, [role]: { ...before, keyids } },
  }
  return { ...draft, root: withoutStrays(draft.published.root, root, keyIdsInRoot) }
}

/** Exactly these keys for the director, which signs assignments and no release; targets begins to delegate to it where it did not. */
export function applyDirectorKeys(draft: RootDraft, keys: JsonObject): RootDraft {
  const delegations = objectAt(draft.targets, 'delegations')
  const before = rolesOf(delegations).find(({ name }) => name === DIRECTOR) ?? {
    name: DIRECTOR,
    threshold: 1,
    terminating: true,
    paths: DIRECTOR_PATHS,
  }
  const others = rolesOf(delegations).filter(({ name }) => name !== DIRECTOR)
  const roles = [...others, { ...before, keyids: Object.keys(keys) }]
  const targets = {
    ...draft.targets,
    delegations: { ...delegations, keys: { ...objectAt(delegations, 'keys'), ...keys }, roles },
  }
  return { ...draft, targets: withoutStrays(draft.published.targets, targets, keyIdsInTargets) }
}

/** What must be signed: root if anything changes at all, targets if it says something else than what is published, and whatever `also` names. One version up each. */
export function closeRoot(
  draft: RootDraft,
  options: { readonly now: Date; readonly also?: readonly ('root' | 'targets')[] },
): readonly ClosedRole[] {
  const { published, root, targets } = draft
  const also = options.also ?? []
  const closed: ClosedRole[] = []
  const [newRoot, newTargets] = [differs(published.root, root), differs(published.targets, targets)]
  if (newRoot || newTargets || also.includes('root'))
    closed.push({ role: 'root', signed: next(published.root, root, options.now, VALID_MS.root) })
  if (newTargets || also.includes('targets'))
    closed.push({ role: 'targets', signed: next(published.targets, targets, options.now, VALID_MS.targets) })
  // What this program can't read back, nobody else could.
  for (const { role, signed } of closed) {
    if (role === 'root') parseShape(rootShape, signed, role)
    else parseShape(targetsShape, signed, role)
  }
  return closed
}

/** The keys and the threshold that a raw root names for one of the top-level roles. Throws TrustError `bad-key`. */
export function roleKeysInRoot(root: JsonObject, role: string): RoleKeys {
  return readRoleKeys(role, objectAt(objectAt(root, 'roles'), role), objectAt(root, 'keys'))
}

/** The keys and the threshold that a raw targets document names for a role; undefined if it does not name it. Throws TrustError `bad-key`. */
export function roleKeysInTargets(targets: JsonObject, role: string): RoleKeys | undefined {
  const delegations = objectAt(targets, 'delegations')
  const named = rolesOf(delegations).find(({ name }) => name === role)
  return named && readRoleKeys(role, named, objectAt(delegations, 'keys'))
}

function roleKeysIn(draft: Signed, role: HolderRole): RoleKeys {
  if (role === 'root') return roleKeysInRoot(draft.root, 'root')
  return roleKeysInTargets(draft.targets, role) ?? notNamed(role)
}

function readRoleKeys(role: string, named: JsonObject, keys: JsonObject): RoleKeys {
  const present = keyIdsOf(named).flatMap((keyid) => {
    const object = keys[keyid]
    return isObject(object) ? [parsePublicKey(keyid, object)] : []
  })
  return { role, keys: present, threshold: Number(named.threshold) }
}

interface Added {
  readonly keys: JsonObject
  readonly names: JsonObject
}

/** Edits what root says of root and targets, or what targets says of a channel. Keys that no role names any more go, with their names. */
function withRole(
  draft: RootDraft,
  role: HolderRole,
  edit: (before: JsonObject) => JsonObject,
  added: Added = { keys: {}, names: {} },
): RootDraft {
  if (role === 'root') {
    const roles = objectAt(draft.root, 'roles')
    const both = { root: edit(objectAt(roles, 'root')), targets: edit(objectAt(roles, 'targets')) }
    const root = {
      ...draft.root,
      keys: { ...objectAt(draft.root, 'keys'), ...added.keys },
      roles: { ...roles, ...both },
    }
    return { ...draft, root: withoutStrays(draft.published.root, named(root, added.names), keyIdsInRoot) }
  }
  roleIn(draft, role)
  const delegations = objectAt(draft.targets, 'delegations')
  const roles = rolesOf(delegations).map((one) => (one.name === role ? edit(one) : one))
  const keys = { ...objectAt(delegations, 'keys'), ...added.keys }
  const targets = { ...draft.targets, delegations: { ...delegations, keys, roles } }
  return { ...draft, targets: withoutStrays(draft.published.targets, named(targets, added.names), keyIdsInTargets) }
}

function named(document: JsonObject, names: JsonObject): JsonObject {
  if (Object.keys(names).length === 0) return document
  return { ...document, key_names: { ...objectAt(document, 'key_names'), ...names } }
}

/** Without the keys that a role named when the draft was opened or named since, and none names now. Keys that nobody ever named are not ours to remove. */
function withoutStrays(
  published: JsonObject,
  document: JsonObject,
  keyIds: (document: JsonObject) => readonly string[],
): JsonObject {
  const used = new Set(keyIds(document))
  const foreign = new Set(Object.keys(keysOf(published)).filter((keyid) => !keyIds(published).includes(keyid)))
  const keep = (entries: JsonObject): JsonObject =>
    Object.fromEntries(Object.entries(entries).filter(([keyid]) => used.has(keyid) || foreign.has(keyid)))
  const kept: JsonObject = isObject(document.delegations)
    ? { ...document, delegations: { ...document.delegations, keys: keep(keysOf(document)) } }
    : { ...document, keys: keep(keysOf(document)) }
  const { key_names: names, ...rest } = kept
  const left = isObject(names) ? keep(names) : {}
  return Object.keys(left).length === 0 && published.key_names === undefined ? rest : { ...kept, key_names: left }
}

function keysOf(document: JsonObject): JsonObject {
  return objectAt(isObject(document.delegations) ? document.delegations : document, 'keys')
}

function keyIdsInRoot(root: JsonObject): readonly string[] {
  return Object.values(objectAt(root, 'roles')).flatMap((role) => (isObject(role) ? keyIdsOf(role) : []))
}

function keyIdsInTargets(targets: JsonObject): readonly string[] {
  return rolesOf(objectAt(targets, 'delegations')).flatMap(keyIdsOf)
}

function documentOf(draft: Signed, role: HolderRole): JsonObject {
  return role === 'root' ? draft.root : draft.targets
}

function roleIn(draft: Signed, role: HolderRole): JsonObject {
  if (role === 'root') return objectAt(objectAt(draft.root, 'roles'), 'root')
  return rolesOf(objectAt(draft.targets, 'delegations')).find(({ name }) => name === role) ?? notNamed(role)
}

function nameIn(draft: Signed, role: HolderRole, keyid: string): string {
  return keysNamedFor(draft, role).find((key) => key.keyid === keyid)?.name ?? 'no name'
}

function notNamed(role: string): never {
  throw new PublishError('usage', `targets names nobody for ${role}`)
}

/** Version and expiry are what closing sets; everything else is what people decide. */
function differs(published: JsonObject, edited: JsonObject): boolean {
  const content = ({ version: _, expires: __, ...rest }: JsonObject) => canonicalBytes(rest)
  return !equalBytes(content(published), content(edited))
}

function next(published: JsonObject, edited: JsonObject, now: Date, validMs: number): JsonObject {
  return {
    ...edited,
    version: Number(published.version) + 1,
    expires: utcSeconds(new Date(now.getTime() + validMs)),
  }
}

function rolesOf(delegations: JsonObject): readonly JsonObject[] {
  return asList(delegations.roles).filter(isObject)
}

function keyIdsOf(role: JsonObject): readonly string[] {
  return asList(role.keyids).filter((keyid) => typeof keyid === 'string')
}

function asList(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : []
}

function objectAt(object: JsonObject, name: string): JsonObject {
  const value = object[name]
  return isObject(value) ? value : {}
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
