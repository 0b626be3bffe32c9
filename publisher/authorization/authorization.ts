// An authorisation to send hosts down, as it is begun here and as the next holder's machine makes it again. Whoever begins one chooses hosts, the way, reason, times
// and nonce; the rest follows from what is trusted, so that whatever else differs was put in by somebody.
//
//   buildAuthorization     from what was chosen and the manifests that are published
//   checkAuthorization     read strictly, in its time, made again, compared byte for byte
//   keepGood, addHolders   its signatures: every one verified before it is kept, none made twice
import { createHash } from 'node:crypto'
import { canonicalBytes } from '../../keys/canonical.ts'
import { parseDocument, type SignedDocument, signDocument } from '../../keys/document.ts'
import type { Keyring } from '../../keys/key-file.ts'
import { signerOf, withSignature } from '../../keys/signing-event.ts'
import { countSignatures, type RoleKeys } from '../../keys/threshold.ts'
import { TrustError } from '../../keys/trust-error.ts'
import type { Verified } from '../../keys/verified.ts'
import {
  type DowngradeAuthorization,
  downgradeAuthorizationShape,
  MAX_AUTHORIZATION_BYTES,
} from '../../schema/downgrade-authorization.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { decideDowngrade } from '../../schema/upgrade-path.ts'
import type { Version } from '../../schema/version.ts'
import { utcSeconds } from '../edit.ts'
import { equalBytes } from '../equal-bytes.ts'
import { type Difference, differencesOf, differenceWords, visible } from '../json-difference.ts'
import { type Problem, PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { signChange } from '../root/change.ts'
import { holderRoleOf } from '../signing.ts'

/** What whoever begins an authorisation chooses freely. */
export interface Choice {
  readonly hosts: readonly string[]
  readonly from: Version
  readonly to: Version
  readonly reason: string
  readonly notBefore: Date
  readonly expires: Date
  readonly nonce: string
}

/** What is signed, over the very manifests that are published. Throws PublishError `policy` where the release that is left allows no such way, `unknown-version`. */
export async function buildAuthorization(
  repository: Repository,
  product: string,
  { hosts, from, to, reason, notBefore, expires, nonce }: Choice,
): Promise<JsonObject> {
  const leaving = await manifestOf(repository, from)
  const target = await manifestOf(repository, to)
  const path = decideDowngrade({ from, to, downgradeTo: leaving.value.compatibility.downgrade_to })
  if (path.kind === 'blocked')
    throw new PublishError('policy', path.reason, {
      state: 'Nothing was written.',
      next: [`release ${to} again under a greater version: netlink-publish release VERSION --from DIR`],
    })
  return {
    _type: 'downgrade-authorization',
    schema: 'netlink.downgrade-authorization/v1',
    product,
    hosts: [...new Set(hosts)],
    from: { version: from, manifest_sha256: sha256(leaving.bytes) },
    to: { version: to, manifest_sha256: sha256(target.bytes) },
    reason: reason.trim(),
    not_before: utcSeconds(notBefore),
    expires: utcSeconds(expires),
    nonce,
  }
}

/** Without a network there are only those that somebody has looked at here before. */
async function manifestOf(repository: Repository, version: Version): Promise<Verified<Manifest>> {
  try {
    return await repository.loadManifest(version)
  } catch (cause) {
    if (!(cause instanceof TrustError && cause.code === 'missing')) throw cause
    const next = [`netlink-publish show ${version}      (with the server: from then on it is here)`]
    const facts = { state: 'Nothing was signed.', next }
    throw new PublishError('unknown-version', `the manifest of ${version} is not on this machine`, facts, { cause })
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

// ---- made again ------------------------------------------------------------------------------------------------------------------

/** An authorisation that somebody brought. `name`: as it was typed. */
export interface BroughtAuthorization {
  readonly name: string
  readonly bytes: Uint8Array
}

/** One that says nothing but what this machine would have written for the same choice. Of its signatures nothing is known yet. */
export interface CheckedAuthorization {
  readonly name: string
  readonly document: SignedDocument
  readonly value: DowngradeAuthorization
}

/**
 * Whoever carried it here is believed in nothing. Throws PublishError `altered` for what no honest holder began, `event` once its time is over, and
 * `unknown-version` for a release that this machine does not know.
 */
export async function checkAuthorization(
  repository: Repository,
  product: string,
  { name, bytes }: BroughtAuthorization,
  now: Date,
): Promise<CheckedAuthorization> {
  const { document, value } = readAuthorization(name, bytes)
  checkInForce(name, value, now)
  const expected = await madeAgain(repository, product, name, value)
  if (equalBytes(canonicalBytes(expected), document.message)) return { name, document, value }
  const differences = differencesOf(expected, document.signed)
  const problems: Problem[] = differences.map((one) => ({ where: name, what: differenceWords(one) }))
  const words = differences.map(placeWords).join(', ')
  throw altered(`${name} is not what this machine makes of the same choice: ${words}`, problems)
}

function readAuthorization(name: string, bytes: Uint8Array): Omit<CheckedAuthorization, 'name'> {
  try {
    const document = parseDocument(bytes, name)
    return { document, value: parseShape(downgradeAuthorizationShape, document.signed, name) }
  } catch (error) {
    if (!(error instanceof ShapeError || error instanceof TrustError)) throw error
    throw altered(`${name} is no authorisation that anybody could have begun: ${visible(error.message)}`)
  }
}

function checkInForce(name: string, { not_before, expires }: DowngradeAuthorization, now: Date): void {
  if (now < not_before)
    throw altered(
      `${name} is good from ${utcSeconds(not_before)} on, which is still to come: look at this machine's clock`,
    )
  if (now < expires) return
  throw new PublishError('event', `${name} expired at ${utcSeconds(expires)}: nobody signs it any more`, {
    state: 'Nothing was signed.',
    next: ['begin it again: netlink-publish authorize-downgrade --help'],
  })
}

async function madeAgain(
  repository: Repository,
  product: string,
  name: string,
  { hosts, from, to, reason, not_before, expires, nonce }: DowngradeAuthorization,
): Promise<JsonObject> {
  const times = { notBefore: not_before, expires }
  const choice: Choice = { hosts, from: from.version, to: to.version, reason, nonce, ...times }
  try {
    return await buildAuthorization(repository, product, choice)
  } catch (error) {
    // Manifests never change: who began it was told the same.
    if (error instanceof PublishError && error.code === 'policy')
      throw altered(`${name} leads where no host would go: ${error.message}`)
    throw error
  }
}

function placeWords({ pointer, before, after }: Difference): string {
  const how = before === undefined ? 'added' : after === undefined ? 'taken out' : 'changed'
  return `${visible(pointer.slice(1))} was ${how}`
}

function altered(what: string, problems: readonly Problem[] = []): PublishError {
  return new PublishError('altered', what, {
    state: 'Nothing was signed.',
    next: ['ask whoever began it, by another way than the one it came'],
    ...(problems.length === 0 ? {} : { problems }),
  })
}

// ---- signatures ------------------------------------------------------------------------------------------------------------------

/** The authorisation with those of its signatures that are good, and the key ids of the others. */
export async function keepGood(
  { document }: CheckedAuthorization,
  keys: RoleKeys,
): Promise<{ readonly bytes: Uint8Array; readonly dropped: readonly string[] }> {
  const dropped: string[] = []
  let bytes = await signDocument(document.signed, [])
  for (const signature of document.signatures) {
    const key = signerOf(document, [keys], signature)
    if (key === undefined) dropped.push(signature.keyid)
    else bytes = await withSignature(bytes, key, signature.sig)
  }
  return { bytes, dropped }
}

/** The authorisation signed by these holders too; whoever has signed it is not asked again. Throws PublishError `usage` for somebody whose keys do not count. */
export async function addHolders(bytes: Uint8Array, keys: RoleKeys, keyrings: readonly Keyring[]): Promise<Uint8Array> {
  const { role } = keys
  const fresh = keyrings.filter((keyring) => !hasSigned(keyring, bytes, keys))
  const signed = (await signChange(new Map([[role, bytes]]), new Map([[role, [keys]]]), fresh)).get(role) ?? bytes
  const stranger = keyrings.find((keyring) => !hasSigned(keyring, signed, keys))
  if (stranger !== undefined)
    throw new PublishError('usage', `${stranger.holder} holds none of the keys that ${role} is signed with`, {
      state: 'Nothing was written.',
      next: ['netlink-publish root show'],
    })
  if (signed.length <= MAX_AUTHORIZATION_BYTES) return signed
  throw new PublishError(
    'usage',
    `an authorisation has at most ${MAX_AUTHORIZATION_BYTES} bytes, and this one would have ${signed.length}`,
    { state: 'Nothing was written.', next: ['authorise fewer hosts at once, or give a shorter reason'] },
  )
}

function hasSigned(keyring: Keyring, bytes: Uint8Array, keys: RoleKeys): boolean {
  const { valid } = countSignatures(parseDocument(bytes), keys)
  return keyring.signersFor(holderRoleOf(keys.role)).some(({ publicKey }) => valid.includes(publicKey.keyid))
}
