// A fresh, empty cluster takes PGlite 2 to 3 seconds of computing and is the same every time. The first one is kept inside the package,
// beside what V8 compiled; the next ones are copies (0.2 s). Who may not write into the package makes its own each time.
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, cp, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PGlite } from '@electric-sql/pglite'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'

/** Opens the cluster in `folder`, making it first if there is none. `onNotKept`: the one made could not be kept for the next time. */
export async function openCluster(
  folder: string,
  onNotKept: (error: unknown) => void,
  kept: string = keptFolder(),
): Promise<PGlite> {
  if (existsSync(join(folder, 'PG_VERSION'))) return PGlite.create(folder)
  if (existsSync(kept)) {
    await copyWhole(kept, folder)
    return PGlite.create(folder)
  }
  const made = await PGlite.create(folder)
  await made.close()
  // For next time only: without it everything works as well.
  await copyWhole(folder, kept).catch((error) => {
    // A folder is not renamed over another: somebody else made it at the same moment.
    if (!existsSync(join(kept, 'PG_VERSION'))) onNotKept(error)
  })
  return PGlite.create(folder)
}

/** A copy that is there wholly or not at all, whoever else makes one at the same moment. */
async function copyWhole(from: string, to: string): Promise<void> {
  const making = `${to}.${randomUUID()}`
  await makeDirDurable(nodeDisk, dirname(to), 0o755)
  try {
    await cp(from, making, { recursive: true })
    await chmod(making, 0o700) // whoever made the first one may have left it open to others
    await rename(making, to)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

/** `node_modules/.cache/netlink/cluster-<version of PGlite>`. */
function keptFolder(): string {
  const library = fileURLToPath(import.meta.resolve('@electric-sql/pglite'))
  const modules = library.slice(0, library.lastIndexOf('node_modules') + 'node_modules'.length)
  const { version } = JSON.parse(readFileSync(join(modules, '@electric-sql', 'pglite', 'package.json'), 'utf8'))
  return join(modules, '.cache', 'netlink', `cluster-${version}`)
}
