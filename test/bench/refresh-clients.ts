// The clients that refresh side by side: ours, tuf-js, and python-tuf where PYTHON has it. Each starts from its folder every time, as a command does.
import { spawn } from 'node:child_process'
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Updater } from 'tuf-js'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { buildHttpSource } from '../../keys/http-source.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { refresh } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { parseManifestPath } from '../../schema/release-path.ts'
import { pythonWithTuf } from '../interop/clients.ts'

export interface Order {
  /** Where the client keeps what it trusts; empty, or what it left there. */
  readonly folder: string
  /** The root to begin with, as a file. */
  readonly root: string
  readonly server: string
  /** A manifest to load and verify, for a cold refresh; null for a warm one. */
  readonly target: string | null
}

export interface RefreshClient {
  readonly name: string
  /** Milliseconds. */
  run(order: Order): Promise<number>
  close(): void
}

export async function refreshClients(): Promise<readonly RefreshClient[]> {
  const python = await pythonWithTuf()
  if (!python) console.log('skipped: python-tuf (set PYTHON to an interpreter that has the package tuf)')
  return [ours(), tufJs(), ...(python ? [await pythonTuf(python)] : [])]
}

function ours(): RefreshClient {
  const fetcher = createFetcher({ userAgent: 'netlink-bench', clock: systemClock })
  return {
    name: 'ours',
    run: async ({ folder, root, server, target }) => {
      await mkdir(folder, { recursive: true })
      if (target) await copyFile(root, join(folder, 'root.json'))
      const start = performance.now()
      const trusted = await refresh({
        source: buildHttpSource(fetcher, `${server}/repo/metadata/`),
        store: buildFileTrustStore(nodeDisk, folder),
        startedAt: systemClock.now(),
      })
      if (target)
        await verifyManifest(trusted, buildHttpSource(fetcher, `${server}/repo/targets/`), parseManifestPath(target))
      return performance.now() - start
    },
    close: () => fetcher.close(),
  }
}

function tufJs(): RefreshClient {
  return {
    name: 'tuf-js',
    run: async ({ folder, root, server, target }) => {
      await mkdir(join(folder, 'targets'), { recursive: true })
      if (target) await copyFile(root, join(folder, 'root.json'))
      const start = performance.now()
      const updater = new Updater({
        metadataDir: folder,
        metadataBaseUrl: `${server}/repo/metadata`,
        targetDir: join(folder, 'targets'),
        targetBaseUrl: `${server}/repo/targets`,
      })
      await updater.refresh()
      if (target) {
        const info = await updater.getTargetInfo(target)
        if (!info) throw new Error(`tuf-js finds no ${target}`)
        await readFile(await updater.downloadTarget(info))
      }
      return performance.now() - start
    },
    close: () => {},
  }
}

async function pythonTuf(python: string): Promise<RefreshClient> {
  const child = spawn(python, [join(import.meta.dirname, 'refresh-python.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return {
    name: 'python-tuf',
    run: async (order) => {
      child.stdin.write(`${JSON.stringify(order)}\n`)
      const { value } = await lines.next()
      return Number(value)
    },
    close: () => child.stdin.end(),
  }
}
