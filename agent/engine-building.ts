import { unreachable } from '../schema/unreachable.ts'
import { buildArtifactSource } from './artifact-source.ts'
import type { EngineDeps } from './engine/deps.ts'
import type { Enrolment } from './enrolment.ts'
import { nodeProbes } from './health/node-probes.ts'
import type { Host } from './host.ts'
import type { Machine } from './machine.ts'
import type { ServiceControl } from './service/control.ts'
import { buildExecControl } from './service/exec-control.ts'
import { noControl } from './service/none-control.ts'
import { buildSystemdControl } from './service/systemd-control.ts'
import { type LockWait, takeUpdateLock } from './update-lock.ts'

/** The engine's outside world on this host. `wait`: for who may have to wait for another update. */
export function buildEngine(host: Host, wait: LockWait = {}): EngineDeps {
  const { paths, disk, clock, random, fetcher, enrolment, facts } = host
  return {
    paths,
    disk,
    clock,
    host: facts,
    artifacts: buildArtifactSource({ fetcher, disk, clock, random, server: enrolment.server }),
    service: buildServiceControl(host, enrolment.service),
    probes: nodeProbes,
    takeLock: () => takeUpdateLock(host, wait),
  }
}

/** Who starts and stops the service here. */
export function buildServiceControl(
  { disk, clock, paths, facts }: Machine,
  service: Enrolment['service'],
): ServiceControl {
  switch (service.control) {
    case 'exec':
      return buildExecControl({ disk, clock, paths, env: facts.env })
    case 'systemd':
      return buildSystemdControl({ disk, clock, paths, unit: service.unit })
    case 'none':
      return noControl
    default:
      return unreachable(service.control)
  }
}
