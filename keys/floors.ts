import type { Root, Snapshot, Timestamp } from '../schema/metadata.ts'
import { compareCodePoints } from './canonical.ts'
import type { JsonObject } from './json.ts'
import type { VerifiedRole } from './verified.ts'

/**
 * How far this host has ever come: nothing older is believed again. Kept apart from the cached metadata, so that it survives their deletion,
 * corruption and expiry. Each part remembers the keys it rests on: those that signed the document which set it. Once root leaves fewer of them than the
 * role's threshold, that part no longer holds, because whoever had the others may have driven the numbers up (TUF 5.3.11, fast-forward). A document that
 * an old and a new key signed keeps its numbers when the old key goes: the new one vouches for them.
 */
export interface Floors {
  /** The greatest root version that was trusted. */
  readonly root: number
  readonly timestamp: TimestampFloor | null
  readonly snapshot: SnapshotFloor | null
}

export interface TimestampFloor {
  readonly version: number
  readonly keyids: readonly string[]
  /** The snapshot version that it announced, and all snapshot keys of that time: this number rests on both roles' keys, and falls with any of them. */
  readonly announced: number
  readonly announced_keyids: readonly string[]
}

export interface SnapshotFloor {
  readonly version: number
  readonly keyids: readonly string[]
  /** The version of each targets role, by file name as in the snapshot: `targets.json`. */
  readonly roles: ReadonlyMap<string, number>
}

export const noFloors: Floors = { root: 0, timestamp: null, snapshot: null }

/**
 * What still holds under this root: the parts whose signers, as far as it still names them, meet the role's threshold. A root from before the floors, out of a backup say,
 * has no say over them.
 */
export function applyRootToFloors(floors: Floors, { value: root }: VerifiedRole<Root>): Floors {
  if (root.version < floors.root) return floors
  const { timestamp, snapshot } = floors
  return {
    root: root.version,
    timestamp:
      timestamp && stillVouched(root, 'timestamp', timestamp.keyids) ? applyToAnnounced(timestamp, root) : null,
    snapshot: snapshot && stillVouched(root, 'snapshot', snapshot.keyids) ? snapshot : null,
  }
}

/** The floors after trusting this timestamp. Never lower than before. */
export function raiseTimestampFloor(
  floors: Floors,
  root: Root,
  { value: timestamp, signedBy }: VerifiedRole<Timestamp>,
): Floors {
  const announced = timestamp.meta.get('snapshot.json')?.version ?? 0
  const floor = {
    version: Math.max(timestamp.version, floors.timestamp?.version ?? 0),
    keyids: signedBy.valid,
    announced: Math.max(announced, floors.timestamp?.announced ?? 0),
    announced_keyids: keyIds(root, 'snapshot'),
  }
  return { ...floors, timestamp: floor }
}

/** The floors after trusting this snapshot. A role once listed stays in the floors. */
export function raiseSnapshotFloor(floors: Floors, { value: snapshot, signedBy }: VerifiedRole<Snapshot>): Floors {
  const roles = new Map(floors.snapshot?.roles)
  for (const [file, { version }] of snapshot.meta) roles.set(file, Math.max(version, roles.get(file) ?? 0))
  const version = Math.max(snapshot.version, floors.snapshot?.version ?? 0)
  return { ...floors, snapshot: { version, keyids: signedBy.valid, roles } }
}

/** Whether two floors say the same, so that nothing needs to be written. */
export function equalFloors(a: Floors, b: Floors): boolean {
  return JSON.stringify(plainFloors(a)) === JSON.stringify(plainFloors(b))
}

/** The floors as plain JSON, roles sorted by name. */
export function plainFloors(floors: Floors): JsonObject {
  const { root, timestamp, snapshot } = floors
  const roles = [...(snapshot?.roles ?? [])].sort(([x], [y]) => compareCodePoints(x, y))
  return {
    root,
    timestamp: timestamp && { ...timestamp },
    snapshot: snapshot && {
      version: snapshot.version,
      keyids: snapshot.keyids,
      roles: roles.map(([file, version]) => ({ file, version })),
    },
  }
}

function applyToAnnounced(floor: TimestampFloor, root: Root): TimestampFloor {
  const named = keyIds(root, 'snapshot')
  return floor.announced_keyids.every((keyid) => named.includes(keyid)) ? floor : { ...floor, announced: 0 }
}

function stillVouched(root: Root, role: string, keyids: readonly string[]): boolean {
  const named = keyIds(root, role)
  const left = keyids.filter((keyid) => named.includes(keyid)).length
  return left >= (root.roles.get(role)?.threshold ?? 1)
}

function keyIds(root: Root, role: string): readonly string[] {
  return root.roles.get(role)?.keyids ?? []
}
