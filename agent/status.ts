// What this host is doing: read from journals, `current` and the small files beside them. Reading never waits for an update.

import type { Brake } from '../schema/protocol.ts'
import type { Version } from '../schema/version.ts'
import { loadBrake } from './brake.ts'
import type { Hold } from './decide.ts'
import { activeHold } from './decide.ts'
import { loadInstalled } from './engine/layout.ts'
import { buildEngine } from './engine-building.ts'
import { loadEnrolment } from './enrolled.ts'
import { loadHistory, type PastUpdate } from './history.ts'
import { type Host, openHost } from './host.ts'
import { type CheckRecord, loadCheck, loadHold } from './host-state.ts'
import { readHealth, type ServiceHealth } from './inventory.ts'
import type { Machine } from './machine.ts'

export interface HostStatus {
  readonly current_version: Version | null
  readonly channel: string | null
  readonly service: ServiceHealth
  /** The update that runs, or that was cut off and waits for its recovery. */
  readonly running: PastUpdate | null
  readonly last: PastUpdate | null
  readonly check: CheckRecord | null
  readonly hold: Hold | null
  readonly brake: Brake
  readonly automatic: 'off' | 'notify' | 'auto' | null
}

/** Throws what reading `current` and the settings throws. */
export async function loadStatus(machine: Machine): Promise<HostStatus> {
  const { disk, paths, files, clock } = machine
  const installed = await loadInstalled(machine)
  const enrolment = await loadEnrolment(machine)
  const host = enrolment ? await openHost(machine) : undefined
  const { updates } = await loadHistory(disk, paths, 20)
  const [newest] = updates
  return {
    current_version: installed?.version ?? null,
    channel: enrolment?.channel ?? null,
    service: host ? await serviceOf(host) : 'unknown',
    running: newest && newest.ended_at === null ? newest : null,
    last: updates.find((update) => update.ended_at !== null) ?? null,
    check: (await loadCheck(disk, files)) ?? null,
    hold: activeHold(await loadHold(disk, files), clock.now()),
    brake: await loadBrake(disk, files, enrolment),
    automatic: host?.config.automatic.mode ?? null,
  }
}

async function serviceOf(host: Host): Promise<ServiceHealth> {
  return readHealth(buildEngine(host), await loadInstalled(host))
}
