import { acquireLock } from '../keys/platform/lock.ts'
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

/** The engine's outside world on this host. */
export function buildEngine(host: Host): EngineDeps {
  const { paths, disk, clock, random, fetcher, enrolment, facts, owner } = host
  return {
    paths,
    disk,
    clock,
    host: facts,
    artifacts: buildArtifactSource({ fetcher, disk, clock, random, server: enrolment.server }),
    service: buildServiceControl(host, enrolment.service),
    probes: nodeProbes,
    takeLock: (path) => acquireLock(path, { owner, clock }),
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
