// tuf-client --metadata-dir DIR init TRUSTED_ROOT
// tuf-client --metadata-url URL --metadata-dir DIR refresh
// tuf-client --metadata-url URL --metadata-dir DIR --target-name PATH… --target-dir DIR --target-base-url URL download
//
// Only this file is the suite's: what it calls is what an agent calls.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { buildHttpSource } from '../../keys/http-source.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import { loadTarget } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { verifyTargetBytes } from '../../keys/verified.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'metadata-dir': { type: 'string' },
    'metadata-url': { type: 'string' },
    'target-dir': { type: 'string' },
    'target-base-url': { type: 'string' },
    'target-name': { type: 'string', multiple: true },
  },
})

const fetcher = createFetcher({ userAgent: 'netlink-tuf-client', clock: systemClock })

try {
  await run(positionals)
} catch (error) {
  console.error(
    error instanceof TrustError || error instanceof PlatformError ? `${error.code}: ${error.message}` : error,
  )
  process.exitCode = 1
} finally {
  fetcher.close()
}

async function run([command, trustedRoot]: string[]): Promise<void> {
  const store = buildFileTrustStore(nodeDisk, needed('metadata-dir'))
  if (command === 'init' && trustedRoot) return store.save('root.json', await readFile(trustedRoot))
  if (command !== 'refresh' && command !== 'download')
    throw new Error('expected init TRUSTED_ROOT, refresh or download')
  const trusted = await refresh({
    source: buildHttpSource(fetcher, needed('metadata-url')),
    store,
    startedAt: systemClock.now(),
  })
  if (command === 'download') for (const path of values['target-name'] ?? []) await download(trusted, path)
}

async function download(trusted: Trusted, path: string): Promise<void> {
  const target = await trusted.findTarget(path)
  const file = join(needed('target-dir'), percentEncode(path))
  const cached = await readFile(file).catch(() => undefined)
  if (cached && isTarget(() => verifyTargetBytes(target, cached))) return
  const bytes = await loadTarget(trusted, buildHttpSource(fetcher, needed('target-base-url')), target)
  await replaceFile(nodeDisk, file, verifyTargetBytes(target, bytes).value, 0o644)
}

function isTarget(verify: () => unknown): boolean {
  try {
    verify()
    return true
  } catch (error) {
    if (error instanceof TrustError) return false
    throw error
  }
}

function needed(option: 'metadata-dir' | 'metadata-url' | 'target-dir' | 'target-base-url'): string {
  const value = values[option]
  if (value === undefined) throw new Error(`expected --${option}`)
  return value
}
