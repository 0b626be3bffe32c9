import { join } from 'node:path'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { parseShape } from '../schema/parse-shape.ts'
import { floorsShape } from '../schema/trust-state.ts'
import { type Floors, plainFloors } from './floors.ts'
import { parseJson } from './json.ts'
import { percentEncode } from './percent-encode.ts'
import type { Disk } from './platform/disk.ts'
import { removeDurable, replaceFile } from './platform/durable.ts'
import { readIfThere } from './platform/if-there.ts'
import type { TrustStore } from './refresh.ts'
import { TrustError } from './trust-error.ts'

/** The name of the floors' file in a store's folder. */
export const FLOORS_FILE = 'floors.state'
const MODE = 0o600
/** More than any metadata may have; a file that grew past it is not one of ours. */
const MAX_BYTES = 8_000_000

/**
 * A trust store in one flat folder: each role's metadata under its own encoded name, byte for byte as received, and the floors in `floors.state`.
 * The folder must exist and be this user's alone; whoever refreshes holds a lock over it.
 */
export function buildFileTrustStore(disk: Disk, folder: string): TrustStore {
  const load = (file: string) => readIfThere(disk, join(folder, file), MAX_BYTES)
  const at = (file: string) => join(folder, file)
  return {
    load: (name) => load(fileNameOf(name)),
    save: (name, bytes) =>
      name === 'root.json'
        ? replaceFile(disk, at(name), bytes, MODE)
        : disk.overwrite(at(fileNameOf(name)), bytes, MODE),
    remove: (name) => removeDurable(disk, at(fileNameOf(name))),
    loadFloors: async () => {
      const bytes = await load(FLOORS_FILE)
      return bytes && parseFloors(bytes, join(folder, FLOORS_FILE))
    },
    saveFloors: (floors) => replaceFile(disk, at(FLOORS_FILE), writeFloors(floors), MODE),
  }
}

/**
 * A file name for a metadata name such as `alpha.json`: one path segment, whatever the role is called, and different for `A` and `a` on every disk.
 * Names too long for a file system go by their hash; `%s` can't be the start of an encoded byte, so it can't be mistaken for another name.
 */
export function fileNameOf(name: string): string {
  const encoded = name
    .split(/([A-Z])/)
    .map((part) => (/^[A-Z]$/.test(part) ? `%${part.charCodeAt(0).toString(16)}` : percentEncode(part)))
    .join('')
  return encoded.length <= 200 ? encoded : `%sha256-${bytesToHex(sha256(new TextEncoder().encode(name)))}.json`
}

function writeFloors(floors: Floors): Uint8Array {
  return new TextEncoder().encode(
    `${JSON.stringify({ schema: 'netlink.floors/v1', ...plainFloors(floors) }, null, 1)}\n`,
  )
}

/** Damaged floors are refused, not forgotten: without them an old repository would be believed again. */
function parseFloors(bytes: Uint8Array, path: string): Floors {
  try {
    const { root, timestamp, snapshot } = parseShape(floorsShape, parseJson(bytes), path)
    const roles = new Map(snapshot?.roles.map(({ file, version }) => [file, version]))
    return { root, timestamp, snapshot: snapshot && { ...snapshot, roles } }
  } catch (cause) {
    throw new TrustError('malformed', `the rollback floors in ${path} can't be read`, { path }, { cause })
  }
}
