// A change of root or targets that holds together: what must be signed again because of it, by whom, and whether it is.
//
//   closeChange       the edited documents, and every role that the change of a delegation forces to be signed again
//   signChange        the signatures of these people, by whichever of their keys count: a root needs those of now and its own
//   standingsOf       who has signed what, who could
//   verifyRootChange  what a host will find, by the functions that a host runs
//
// A role is forced where too few of its remaining keys have signed it, and a channel also where it still sends hosts to a key that has gone.
import { addSignatures, parseDocument, signDocument } from '../../keys/document.ts'
import type { Keyring } from '../../keys/key-file.ts'
import { countSignatures, type RoleKeys } from '../../keys/threshold.ts'
import { roleTypes, type VerifiedRole, verifyNextRoot, verifyRole } from '../../keys/verified.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import type { ChannelRole, Targets } from '../../schema/metadata.ts'
import { type Channel, channels } from '../../schema/version.ts'
import { type ClosedRole, closeChannel } from '../edit.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { holderRoleOf, verifyChange } from '../signing.ts'
import { closeRoot, type RootDraft, roleKeysInRoot, roleKeysInTargets } from './edit.ts'

/** A role that has to be signed again although nobody edited it, and why. */
export interface Forced {
  readonly role: string
  readonly reason: string
}

export interface ClosedChange {
  readonly closed: readonly ClosedRole[]
  readonly forced: readonly Forced[]
}

/**
 * Everything that has to be signed for a draft, in the order in which hosts read it. `renew`: roles that get a fresh expiry besides. Throws what reading the
 * channels throws.
 */
export async function closeChange(
  repository: Repository,
  draft: RootDraft,
  options: { readonly now: Date; readonly renew?: readonly string[] },
): Promise<ClosedChange> {
  const { now, renew = [] } = options
  const asked = (['root', 'targets'] as const).filter((role) => renew.includes(role))
  const edited = closeRoot(draft, { now, also: asked })
  const root = signedIn(edited, 'root') ?? draft.published.root
  const lacking = lacks(repository.targets.bytes, roleKeysInRoot(root, 'targets'))
  const isForced = signedIn(edited, 'targets') === undefined && lacking !== undefined
  const top = isForced ? closeRoot(draft, { now, also: [...asked, 'targets'] }) : edited
  const targets = signedIn(top, 'targets') ?? draft.published.targets
  const closed = [...top]
  const forced: Forced[] = isForced ? [{ role: 'targets', reason: lacking }] : []
  for (const channel of channels) {
    const reason = await channelReason(repository, channel, targets)
    if (reason === undefined && !renew.includes(channel)) continue
    const documents = await closeWith(repository, channel, targets, now)
    closed.push(...documents)
    if (reason !== undefined) forced.push(...documents.map(({ role }) => ({ role, reason })))
  }
  return { closed, forced }
}

function signedIn(closed: readonly ClosedRole[], role: string): JsonObject | undefined {
  return closed.find((one) => one.role === role)?.signed
}

/** Why a channel can't stay as it was signed, undefined if it can. */
async function channelReason(
  repository: Repository,
  channel: Channel,
  targets: JsonObject,
): Promise<string | undefined> {
  const keys = roleKeysInTargets(targets, channel)
  const published = await repository.loadChannel(channel)
  if (keys === undefined || published === undefined) return undefined
  return lacks(published.bytes, keys) ?? straysIn(published.value, keys)
}

function lacks(bytes: Uint8Array, keys: RoleKeys): string | undefined {
  const { valid, missing, threshold } = countSignatures(parseDocument(bytes), keys)
  return missing === 0 ? undefined : `${valid.length} of the ${threshold} signatures that it needs would count`
}

/** A line role has its channel's keys: one that has left the channel must not be able to sign old releases. */
function straysIn({ delegations }: ChannelRole, keys: RoleKeys): string | undefined {
  const known = keys.keys.map(({ keyid }) => keyid)
  const stray = delegations?.roles.find(
    (line) => line.threshold < keys.threshold || line.keyids.some((keyid) => !known.includes(keyid)),
  )
  return stray && `it lets keys sign for ${stray.name} that no longer may`
}

async function closeWith(
  repository: Repository,
  channel: Channel,
  targets: JsonObject,
  now: Date,
): Promise<readonly ClosedRole[]> {
  const draft = await repository.openDraft(channel)
  const keys = roleKeysInTargets(targets, channel)
  if (keys === undefined) throw new PublishError('usage', `targets names nobody for ${channel}`)
  const objects = Object.fromEntries(keys.keys.map(({ keyid, object }) => [keyid, object]))
  return closeChannel(
    { ...draft, keys: { keyids: keys.keys.map(({ keyid }) => keyid), threshold: keys.threshold, keys: objects } },
    now,
  )
}

/** The documents, signed by nobody yet. */
export async function unsignedDocuments(closed: readonly ClosedRole[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const documents = new Map<string, Uint8Array>()
  for (const { role, signed } of closed) documents.set(role, await signDocument(signed, []))
  return documents
}

/** The same documents with the signatures of these holders, by every key of theirs that would count. */
export async function signChange(
  documents: ReadonlyMap<string, Uint8Array>,
  needs: ReadonlyMap<string, readonly RoleKeys[]>,
  keyrings: readonly Keyring[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const signed = new Map<string, Uint8Array>()
  for (const [role, bytes] of documents) {
    const counting = (needs.get(role) ?? []).flatMap(({ keys }) => keys.map(({ keyid }) => keyid))
    const signers = keyrings
      .flatMap((keyring) => keyring.signersFor(holderRoleOf(role)))
      .filter(({ publicKey }) => counting.includes(publicKey.keyid))
    signed.set(role, signers.length === 0 ? bytes : await addSignatures(bytes, signers))
  }
  return signed
}

/** How one document stands with one of the sets of keys that it needs. */
export interface RootStanding {
  readonly role: string
  /** Which keys, where a root needs two sets of them; null where nothing has to be told apart. */
  readonly by: 'present keys' | 'its own keys' | null
  readonly version: number
  readonly have: readonly string[]
  readonly missing: readonly string[]
  readonly threshold: number
  readonly complete: boolean
}

/** How every document of a change stands, in their order. `nameOf`: a person's name for a key id. */
export function standingsOf(
  documents: ReadonlyMap<string, Uint8Array>,
  needs: ReadonlyMap<string, readonly RoleKeys[]>,
  nameOf: (keyid: string) => string,
): readonly RootStanding[] {
  return [...documents].flatMap(([role, bytes]) => {
    const document = parseDocument(bytes, role)
    return toldApart(needs.get(role) ?? []).map(({ by, ...required }): RootStanding => {
      const { valid, threshold, missing } = countSignatures(document, required)
      const others = required.keys.map(({ keyid }) => keyid).filter((keyid) => !valid.includes(keyid))
      return {
        role,
        by,
        version: Number(document.signed.version),
        have: valid.map(nameOf),
        missing: others.map(nameOf),
        threshold,
        complete: missing === 0,
      }
    })
  })
}

/** A root is signed by the keys of the one before and by its own (TUF 5.3.4): the same people with new keys are asked for both. */
function toldApart(needs: readonly RoleKeys[]): readonly (RoleKeys & Pick<RootStanding, 'by'>)[] {
  const [before, own] = needs
  if (before === undefined || own === undefined) return needs.map((keys) => ({ ...keys, by: null }))
  const facts = ({ keys, threshold }: RoleKeys) => JSON.stringify([keys.map(({ keyid }) => keyid).sort(), threshold])
  if (facts(before) === facts(own)) return [{ ...own, by: null }]
  return [
    { ...before, by: 'present keys' },
    { ...own, by: 'its own keys' },
  ]
}

/**
 * What hosts and server will find: root follows root, targets is signed by the keys that root names, every channel by those that targets names, whether it
 * was signed again or not. Throws TrustError for whatever does not hold. Returns targets as it will be.
 */
export async function verifyRootChange(
  repository: Repository,
  subject: string,
  documents: ReadonlyMap<string, Uint8Array>,
  now: Date,
): Promise<VerifiedRole<Targets>> {
  const before = repository.trusted.root
  const bytes = documents.get('root')
  const root = bytes === undefined ? before : verifyNextRoot(before, bytes)
  const expected = before.value.version + (bytes === undefined ? 0 : 1)
  if (root.value.version !== expected || root.value.product !== before.value.product)
    throw new PublishError('mismatch', `expected root v${expected} of ${before.value.product ?? 'no product'}`)
  const targets = verifyRole(root, 'targets', roleTypes.targets, documents.get('targets') ?? repository.targets.bytes)
  verifyChange({ targets, holders: [], subject, now }, { documents, manifests: new Map() })
  for (const channel of channels) {
    if (documents.has(channel)) continue
    const published = await repository.loadChannel(channel)
    if (published !== undefined) verifyRole(targets, channel, roleTypes.targets, published.bytes)
  }
  return targets
}
