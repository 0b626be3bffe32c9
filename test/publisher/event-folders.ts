// Three holders, each with a folder of their own that holds one keyring: what a team has after init, once everybody took theirs away.
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PublisherWorld } from './world.ts'

const HOLDERS = ['alice', 'bob', 'carol'] as const
export type HolderName = (typeof HOLDERS)[number]

/** `alice/`, `bob/` and `carol/` beside `pub/`. Whoever is `withoutNetwork` has a server address where nothing answers, and no token. */
export async function splitFolders(world: PublisherWorld, withoutNetwork: readonly HolderName[] = []): Promise<void> {
  for (const name of HOLDERS) {
    const folder = join(world.folder, name)
    await cp(join(world.folder, 'pub'), folder, { recursive: true })
    for (const other of HOLDERS.filter((one) => one !== name)) await rm(join(folder, 'keys', `${other}.age`))
    const file = join(folder, 'netlink.publish.yml')
    const text = await readFile(file, 'utf8')
    if (!withoutNetwork.includes(name)) continue
    const cut = text
      .replace(/^server: .*$/m, 'server: http://127.0.0.1:9')
      .replace(/^token_file: .*$/m, 'token_file: none')
    if (cut === text) throw new Error(`${file} names no server`)
    await writeFile(file, cut)
  }
}
