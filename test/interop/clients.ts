// Other people's TUF clients, which know nothing of us.
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Updater } from 'tuf-js'

export interface Found {
  /** The version of the root that the client ended with. */
  readonly root: number
  /** The content of each target, null where the client was told that there is none. */
  readonly targets: Readonly<Record<string, string | null>>
}

/** Reads these targets from a server, beginning with the root in that file or with what the client keeps in the folder from before. */
export type Client = (folder: string, root: string, server: string, targets: readonly string[]) => Promise<Found>

export const tufJs: Client = async (folder, root, server, targets) => {
  const metadataDir = join(folder, 'metadata')
  await mkdir(metadataDir, { recursive: true })
  await mkdir(join(folder, 'targets'), { recursive: true })
  await copyFile(root, join(metadataDir, 'root.json'))
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl: `${server}/repo/metadata`,
    targetDir: join(folder, 'targets'),
    targetBaseUrl: `${server}/repo/targets`,
  })
  await updater.refresh()
  const found: [string, string | null][] = []
  for (const target of targets) {
    const info = await updater.getTargetInfo(target)
    found.push([target, info ? await readFile(await updater.downloadTarget(info), 'utf8') : null])
  }
  const trusted = JSON.parse(await readFile(join(metadataDir, 'root.json'), 'utf8'))
  return { root: trusted.signed.version, targets: Object.fromEntries(found) }
}

/** python-tuf in this interpreter. */
export function pythonTuf(python: string): Client {
  return async (folder, root, server, targets) => {
    const script = join(import.meta.dirname, 'read.py')
    const { stdout } = await promisify(execFile)(python, [script, folder, root, server, ...targets])
    return JSON.parse(stdout)
  }
}

/** The interpreter that `PYTHON` names, if it has python-tuf. */
export async function pythonWithTuf(): Promise<string | undefined> {
  const { PYTHON: python } = process.env
  if (!python) return undefined
  const hasTuf = promisify(execFile)(python, ['-c', 'import tuf.ngclient']).then(
    () => true,
    () => false,
  )
  return (await hasTuf) ? python : undefined
}
