import { versionParts } from '../schema/version.ts'
import { loadInstalled } from './engine/layout.ts'
import { loadEnrolment } from './enrolled.ts'

import { loadCheck } from './host-state.ts'
import type { Machine } from './machine.ts'
import { loadVersionRecord } from './version-record.ts'

/** All that this host says about what runs here: `version --detailed`, and `GET /api/v1/system/version?detailed=true`. */
export async function loadDetails(machine: Machine) {
  const installed = await loadInstalled(machine)
  const record = await loadVersionRecord(machine)
  const enrolment = await loadEnrolment(machine)
  const check = await loadCheck(machine.disk, machine.files)
  return {
    current_version: installed?.version ?? null,
    since: installed && record.current_version === installed.version ? record.last_updated : null,
    released_at: installed?.released_at ?? null,
    channel: enrolment?.channel ?? null,
    product: installed?.product ?? enrolment?.product ?? null,
    build_id: installed ? versionParts(installed.version).build : null,
    database_version: installed?.database_version ?? null,
    config_version: installed?.config_version ?? null,
    generation: installed?.number ?? null,
    update_id: installed?.update_id ?? null,
    manifest_sha256: installed?.manifest_sha256 ?? null,
    artifact_sha256: installed?.artifact_sha256 ?? null,
    agent_version: machine.facts.agentVersion,
    server: enrolment?.server ?? null,
    host_id: enrolment?.host_id ?? null,
    key_set: check ? { root_version: check.root_version, timestamp_version: check.timestamp_version } : null,
    /** There is no transparency log in this version. */
    log_checkpoint: null,
    last_check: check?.at ?? null,
    history: record.history,
  }
}
