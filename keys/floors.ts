import type { Root } from '../schema/metadata.ts'
import type { VerifiedRole } from './verified.ts'

/**
 * How far this host has ever come: nothing older is believed again. Kept apart from the cached metadata, so that it survives their deletion,
 * corruption and expiry. Each part remembers the keys it rests on: once root takes one of them away, that part no longer holds, because whoever had
 * the key may have driven the numbers up (TUF 5.3.11, fast-forward).
 */
export interface Floors {
  readonly root: number
  readonly timestamp: TimestampFloor | null
  readonly snapshot: SnapshotFloor | null
}

export interface TimestampFloor {
  readonly version: number
  readonly keyids: readonly string[]
  /** The snapshot version that it announced, and the snapshot keys of that time: this number rests on both roles' keys. */
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

/** What still holds under this root: the parts all of whose keys it still names for the same role. */
export function applyRootToFloors(floors: Floors, { value: root }: VerifiedRole<Root>): Floors {
  const { timestamp, snapshot } = floors
  return {
    root: Math.max(floors.root, root.version),
    timestamp: timestamp && stillNamed(root, 'timestamp', timestamp.keyids) ? applyToAnnounced(timestamp, root) : null,
    snapshot: snapshot && stillNamed(root, 'snapshot', snapshot.keyids) ? snapshot : null,
  }
}

function applyToAnnounced(floor: TimestampFloor, root: Root): TimestampFloor {
  return stillNamed(root, 'snapshot', floor.announced_keyids) ? floor : { ...floor, announced: 0 }
}

function stillNamed(root: Root, role: string, keyids: readonly string[]): boolean {
  const named = root.roles.get(role)?.keyids ?? []
  return keyids.every((keyid) => named.includes(keyid))
}
