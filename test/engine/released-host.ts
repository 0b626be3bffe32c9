// A host on a simulated disk and three releases of a program for it.
import { expect } from 'vitest'
import { createSimDisk, type SimDisk } from '../sim/disk.ts'
import { createPublisher, pack, type TestRelease } from './release.ts'
import { createSimHost } from './sim-host.ts'

/** What every release runs, unless it says otherwise. */
export const service = {
  argv: ['./bin/app'],
  env: {},
  ready_ms: 3000,
  stability_ms: 2000,
  health_checks: [
    { type: 'http', name: 'page', url: 'http://127.0.0.1:${PORT:-80}/', interval_ms: 200, failure_threshold: 2 },
  ],
}

export const publisher = await createPublisher()
export const one = await publisher.release('0a1', pack({ '!bin/app': 'one', 'www/index.html': 'one' }), { service })
export const two = await publisher.release('0a2', pack({ '!bin/app': 'two', 'www/index.html': 'two' }), { service })
export const three = await publisher.release('0a3', pack({ '!bin/app': 'three' }), { service })

/** A host with nothing installed. */
export function newHost(disk: SimDisk = createSimDisk()) {
  return { disk, ...createSimHost(disk, { releases: [one, two, three] }) }
}

/** A host on which the release runs; what led there is forgotten. */
export async function hostOn(release: TestRelease) {
  const host = newHost()
  expect(await host.install(release)).toMatchObject({ kind: 'committed' })
  host.events.length = 0
  host.service.calls.length = 0
  return host
}
