// Commands in a world of real processes that end at once: they run in the test's process, so that asking again and again costs little.

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { adminHere } from '../admin/admin-here.ts'
import { runHere } from '../agent/command-line.ts'
import type { WorldHost } from '../world/host.ts'
import type { Outcome } from '../world/programs.ts'
import { type ServerHere, serveHere } from '../world/server-here.ts'
import { buildWorld, type World } from '../world/world.ts'

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

/** A world whose server and `netlink-admin` run here, and the end of both. Its hosts are processes. */
export async function buildWorldHere(folder: string): Promise<World & { readonly end: () => Promise<void> }> {
  let server: ServerHere | undefined
  const world = await buildWorld(folder, {
    beginServer: async (below, port) => {
      server = await serveHere(below, port)
    },
  })
  const connection = ['--server', world.server, '--token-file', 'srv/secrets/admin.token']
  const end = async () => server?.end()
  return { ...world, end, admin: (args): Promise<Outcome> => adminHere(world.folder, [...args, ...connection]) }
}
