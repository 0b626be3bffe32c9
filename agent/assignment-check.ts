// What an assignment makes of a look at the releases. The rules of `decide.ts` hold for it as for everything that comes by itself; it only says which version.
import { TrustError } from '../keys/trust-error.ts'
import type { Verified } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import { channelOffers, type Version } from '../schema/version.ts'
import {
  type Directive,
  type TakeRequest,
  takeAssignment,
  verifyListed,
  verifyNotOlder,
  verifyWayDown,
} from './assignment.ts'
import { type Asked, type Decision, decideWhen, type HostState } from './decide.ts'
import type { Generation } from './engine/plan.ts'
import type { Host } from './host.ts'
import type { TrustView } from './trust.ts'
import { utcSecond } from './utc-second.ts'
import { checkWayDown } from './way-down.ts'

/** What was refused, in the words of the check that failed. */
export interface AssignmentRefusal {
  readonly code: string
  readonly message: string
}

export interface AssignmentLook {
  /** What is in force, null: nothing is. */
  readonly directive: Directive | null
  readonly way: Way
  readonly refused: AssignmentRefusal | null
}

/** Where an assignment leads. `none`: nowhere, as there is none or it was refused. */
export type Way =
  | { readonly kind: 'none' | 'stay' | 'up' }
  | { readonly kind: 'down'; readonly authorization: UsedAuthorization }

/** An authorisation that is going to be used up. */
export interface UsedAuthorization {
  readonly nonce: string
  readonly reason: string
}

/** Takes in what was offered, and finds out whether what is in force may be obeyed here. Throws PlatformError. */
export async function lookAtAssignment(
  host: Host,
  view: TrustView,
  facts: { readonly state: HostState; readonly installed: Generation | null },
  request: TakeRequest,
): Promise<AssignmentLook> {
  try {
    const taken = await takeAssignment(host, view, request)
    const { directive, refused } = taken
    if (directive === null) return { directive, way: { kind: 'none' }, refused }
    const way = await findWay(host, view, facts, directive, request.at)
    return way instanceof TrustError ? { directive, way: { kind: 'none' }, refused: way } : { directive, way, refused }
  } catch (error) {
    if (!(error instanceof TrustError)) throw error
    return { directive: null, way: { kind: 'none' }, refused: error }
  }
}

async function findWay(
  host: Host,
  view: TrustView,
  { state, installed }: { readonly state: HostState; readonly installed: Generation | null },
  directive: Directive,
  at: Date,
): Promise<Way | TrustError> {
  try {
    const { version } = directive
    const offered = await loadOffered(view, state, version)
    if (directive.action === 'update' || installed?.version === version) {
      verifyNotOlder(directive, installed)
      await verifyListed(view, directive, offered)
      return { kind: installed?.version === version ? 'stay' : 'up' }
    }
    const { nonce, reason } = (await verifyWayDown(host, view, directive, installed, at)).value
    await verifyListed(view, directive, offered)
    return { kind: 'down', authorization: { nonce, reason } }
  } catch (error) {
    if (error instanceof TrustError) return error
    throw error
  }
}

/** The version, if its own channel lists it and this host's channel is offered it. */
async function loadOffered(view: TrustView, { channel }: HostState, version: Version): Promise<readonly Version[]> {
  if (!channelOffers(channel, version)) return []
  return (await view.findRelease(version)) ? [version] : []
}

export interface Found {
  readonly decision: Decision
  readonly manifests: ReadonlyMap<Version, Verified<Manifest>>
  readonly authorization?: UsedAuthorization
}

/** What a host that acts by itself does under this assignment; undefined: nothing is in force, it goes by its own policy. */
export async function decideUnder(
  host: Host,
  view: TrustView,
  { directive, way, refused }: AssignmentLook,
  question: { readonly state: HostState; readonly asked: Extract<Asked, { by: 'host' }> },
  look: (what: { kind: 'latest' } | { kind: 'assigned'; version: Version }) => Promise<Found>,
): Promise<Found | undefined> {
  if (directive === null) return undefined
  const { version, expires } = directive
  const { state, asked } = question
  switch (way.kind) {
    case 'none':
      return only(refusedDecision(version, refused))
    case 'up':
      return look({ kind: 'assigned', version })
    case 'stay': {
      const found = await look({ kind: 'latest' })
      if (found.decision.kind === 'up-to-date' || found.decision.version === null) return found
      const detail = `${version} is assigned to this host until ${utcSecond(expires)}, and ${found.decision.version} is there`
      const decision = {
        kind: 'waiting',
        version: found.decision.version,
        reason: 'assigned',
        detail,
        until: expires,
      } as const
      return { ...found, decision }
    }
    case 'down': {
      const found = await checkWayDown(host, view, state.installed ?? version, version)
      if (found.decision.kind !== 'available') return found
      const failure = state.quarantine.get(version)
      if (failure !== undefined) return only(quarantined(version, failure))
      const waiting = decideWhen({ host: state, now: host.clock.now() }, asked, version)
      return waiting ? { ...found, decision: waiting } : { ...found, authorization: way.authorization }
    }
  }
}

function only(decision: Decision): Found {
  return { decision, manifests: new Map() }
}

function refusedDecision(version: Version, refused: AssignmentRefusal | null): Decision {
  const detail = refused ? `${refused.code}: ${refused.message}` : 'it was refused'
  return { kind: 'waiting', version, reason: 'assignment_refused', detail, until: null }
}

function quarantined(version: Version, failure: string): Decision {
  const detail = `${version} is quarantined on this host: ${failure}`
  return { kind: 'waiting', version, reason: 'quarantined', detail, until: null }
}
