import { type Floors, noFloors } from '../../keys/floors.ts'
import { parseJson } from '../../keys/json.ts'
import type { TrustStore } from '../../keys/refresh.ts'

/** A trust store in memory. `writes` is what was done to it, in order; `writesLeft` lets the power go after so many more. */
export class SimTrustStore implements TrustStore {
  readonly files = new Map<string, Uint8Array>()
  readonly writes: string[] = []
  floors: Floors | undefined
  /** How many writes there will be before the power goes; undefined for a steady supply. */
  writesLeft: number | undefined

  constructor(root?: Uint8Array) {
    if (root) this.files.set('root.json', root)
  }

  async load(name: string): Promise<Uint8Array | undefined> {
    return this.files.get(name)
  }

  async save(name: string, bytes: Uint8Array): Promise<void> {
    this.#write(`save ${name}`)
    this.files.set(name, bytes)
  }

  async remove(name: string): Promise<void> {
    this.#write(`remove ${name}`)
    this.files.delete(name)
  }

  async loadFloors(): Promise<Floors | undefined> {
    return this.floors
  }

  async saveFloors(floors: Floors): Promise<void> {
    this.#write('save floors')
    this.floors = floors
  }

  /** The version of each role that is stored: `{ root: 2, timestamp: 1 }`. */
  versions(): Record<string, number> {
    const entries = [...this.files].map(([name, bytes]) => [name.replace(/\.json$/, ''), versionIn(bytes)] as const)
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** The floors' numbers without their keys. */
  floorVersions(): { root: number; timestamp: number; announced: number; snapshot: number } {
    const { root, timestamp, snapshot } = this.floors ?? noFloors
    return {
      root,
      timestamp: timestamp?.version ?? 0,
      announced: timestamp?.announced ?? 0,
      snapshot: snapshot?.version ?? 0,
    }
  }

  #write(what: string): void {
    if (this.writesLeft === 0) throw new Error(`power cut before: ${what}`)
    if (this.writesLeft !== undefined) this.writesLeft -= 1
    this.writes.push(what)
  }
}

function versionIn(bytes: Uint8Array): number {
  const document = parseJson(bytes) as { signed: { version: number } }
  return document.signed.version
}
