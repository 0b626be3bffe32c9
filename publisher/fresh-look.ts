// The repository as somebody sees it who knows one root and nothing else: in a trust store of its own, which is gone afterwards.
import { verifyRootBytes } from '../keys/release.ts'
import type { PublicRepository } from './public-repository.ts'
import { pinRoot, type Repository, refreshRepository } from './repository.ts'
import type { Workshop } from './workshop.ts'

/** Runs `use` with what `source` shows from `root` on. `report`: also what has expired. Throws as refreshRepository, and whatever `use` throws. */
export async function withFreshLook<T>(
  workshop: Workshop,
  source: Pick<PublicRepository, 'metadata' | 'targets'>,
  from: { readonly root: Uint8Array; readonly expiry?: 'enforce' | 'report' },
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const { disk, clock, signal } = workshop.machine
  const folder = `${workshop.layout.repository}-verify`
  const { product } = verifyRootBytes(from.root).value
  try {
    await disk.removeTree(folder)
    await pinRoot(disk, folder, from.root)
    const deps = { disk, clock, signal, folder, product, expiry: from.expiry }
    return await use(await refreshRepository(deps, source.metadata, source.targets))
  } finally {
    await disk.removeTree(folder)
  }
}
