// Two files about versions. `<root>/version.json` is the seed's (schema/version-json.ts): what runs and what ran before; people and scripts read it.
// `<state>/floor.json` holds the greatest version that this host ever committed: nothing older is installed without an explicit downgrade.
//
// Neither decides what runs: that is the link `current` alone. Where a rollback goes is in the plans of earlier updates.
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Disk } from '../keys/platform/disk.ts'
import { renameDurable, replaceFile } from '../keys/platform/durable.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { compareVersions, type Version, versionShape } from '../schema/version.ts'
import {
  applyInstalled,
  emptyVersionJson,
  type Installed,
  type VersionJson,
  versionJsonShape,
} from '../schema/version-json.ts'
import { exists, jsonBytes, loadJsonFile, readCurrent } from './engine/layout.ts'
import type { Paths } from './paths.ts'

export interface RecordPlace {
  readonly disk: Disk
  readonly paths: Paths
}

const floorShape = z.looseObject({ schema: z.literal('netlink.floor/v1'), floor: versionShape })

/** The floor file is gone although something was committed here. Whoever can delete it must not get an older version installed by that. */
export class FloorMissing extends Error {
  override readonly name = 'FloorMissing'
}

/** `version.json`, or the empty document where there is none. Throws ShapeError or PlatformError. */
export async function loadVersionRecord({ disk, paths }: RecordPlace): Promise<VersionJson> {
  return (await loadJsonFile(disk, paths.versionJson, versionJsonShape)) ?? emptyVersionJson
}

/** Adds a committed version, durably; the same again changes nothing more. Resolves with what a person should know: a file that nobody could read was put aside. */
export async function recordInstalled(place: RecordPlace, installed: Installed): Promise<readonly string[]> {
  const { record, warnings } = await loadOrBegin(place)
  await save(place, applyInstalled(record, installed))
  return warnings
}

/** After a commit that was cut off and taken back: this version runs, and the other one is no part of the history's end. */
export async function recordReturn(place: RecordPlace, left: Version, runs: Version | null): Promise<void> {
  const { record } = await loadOrBegin(place)
  const last = record.history.at(-1)
  const history = last?.version === left && left !== runs ? record.history.slice(0, -1) : record.history
  await save(place, { ...record, current_version: runs, history })
}

/** It decides nothing, so it must not keep a host from its updates. */
async function loadOrBegin(
  place: RecordPlace,
): Promise<{ readonly record: VersionJson; readonly warnings: readonly string[] }> {
  try {
    return { record: await loadVersionRecord(place), warnings: [] }
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    const { versionJson } = place.paths
    await renameDurable(place.disk, versionJson, `${versionJson}.damaged`)
    return {
      record: emptyVersionJson,
      warnings: [`${versionJson} could not be read and was begun anew; it lies beside as ${versionJson}.damaged`],
    }
  }
}

async function save({ disk, paths }: RecordPlace, record: VersionJson): Promise<void> {
  await replaceFile(disk, paths.versionJson, jsonBytes(record), 0o644)
}

/** The greatest version ever committed here, null on a fresh host. Throws FloorMissing, ShapeError or PlatformError: never "don't know". */
export async function loadFloor(disk: Disk, paths: Paths): Promise<Version | null> {
  const place = { disk, paths }
  const stored = await loadJsonFile(disk, paths.floor, floorShape)
  if (stored) return stored.floor
  // An installation commits its floor after it has switched; until then it is undecided.
  if ((await readCurrent(place)) === null || (await exists(disk, paths.undecided))) return null
  throw new FloorMissing(`${paths.floor} is missing although a version was committed here`)
}

/** Makes the floor at least this version, durably. It never sinks. */
export async function raiseFloor({ disk, paths }: RecordPlace, version: Version): Promise<void> {
  const stored = await loadJsonFile(disk, paths.floor, floorShape)
  // What can be seen need not be safe yet: whoever wrote it may have been killed before the folder was synced.
  if (stored && compareVersions(stored.floor, version) >= 0) return disk.syncDir(dirname(paths.floor))
  await replaceFile(disk, paths.floor, jsonBytes({ schema: 'netlink.floor/v1', floor: version }), 0o600)
}
