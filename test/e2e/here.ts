// Commands in a world of real processes that end at once: they run in the test's process, so that asking again and again costs little.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminHere } from '../admin/admin-here.ts'
import { runHere } from '../agent/command-line.ts'
import type { WorldHost } from '../world/host.ts'
import type { Outcome } from '../world/programs.ts'
import type { World } from '../world/world.ts'

/** `netlink` on this host. */
export function agentHere(folder: string, host: WorldHost, args: readonly string[]): Promise<Outcome> {
  return runHere(folder, { ...process.env, NO_COLOR: '1', NETLINK_HOME: host.home }, args)
}

/** The example's service, which is believed to be stable sooner than one that serves people should be. */
export async function soonStable(app: string): Promise<void> {
  const file = join(app, 'release.json')
  const release = JSON.parse(await readFile(file, 'utf8'))
  release.service.stability_ms = 300
  await writeFile(file, JSON.stringify(release))
}

/** The same world, whose `netlink-admin` runs here. */
export function withAdminHere(world: World): World {
  const connection = ['--server', world.server, '--token-file', 'srv/secrets/admin.token']
  return { ...world, admin: (args): Promise<Outcome> => adminHere(world.folder, [...args, ...connection]) }
}
