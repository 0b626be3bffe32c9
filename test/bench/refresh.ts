// Refreshing from a repository of 10, 1,000 and 5,000 releases, beside tuf-js and python-tuf in the same run: with nothing new, and from nothing to one
// verified manifest. Turn by turn, so that the machine's moods hit all. Then the bytes that a host one release behind costs, and what a signature costs.
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { buildHttpSource } from '../../keys/http-source.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { refresh as refreshStore } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { parseManifestPath } from '../../schema/release-path.ts'
import { type Figure, inWords, median } from './figure.ts'
import { buildLongRepository, type LongRepository, writePublished } from './long-repository.ts'
import { type RefreshClient, refreshClients } from './refresh-clients.ts'
import { verification } from './verification.ts'

const SIZES = [10, 1_000, 5_000]
const ROUNDS = 31
/** The first rounds find code that was never run. */
const WARM_UP = 10

export async function refresh(folder: string): Promise<Figure[]> {
  const clients = await refreshClients()
  const figures: Figure[] = []
  try {
    for (const count of SIZES) {
      const repository = await buildLongRepository(count, new Date())
      const place = join(folder, String(count))
      await writePublished(place, repository.after)
      await using server = await serveFolder(place)
      figures.push(...(await sideBySide(clients, count, repository, { place, server: server.url })))
      if (count === 1_000) figures.push(await bytesBehind(repository, place, server.url))
    }
  } finally {
    for (const client of clients) client.close()
  }
  return [...figures, ...(await verification())]
}

interface Place {
  readonly place: string
  readonly server: string
}

async function sideBySide(
  clients: readonly RefreshClient[],
  count: number,
  repository: LongRepository,
  { place, server }: Place,
): Promise<Figure[]> {
  const root = join(place, 'first-root.json')
  await writeFile(root, repository.root)
  const cold = new Map(clients.map((client) => [client.name, [] as number[]]))
  const warm = new Map(clients.map((client) => [client.name, [] as number[]]))
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (const client of clients) {
      const folder = join(place, 'clients', `${client.name}-${round}`)
      const coldMs = await client.run({ folder, root, server, target: repository.newest })
      const warmMs = await client.run({ folder, root, server, target: null })
      if (round < WARM_UP) continue
      cold.get(client.name)?.push(coldMs)
      warm.get(client.name)?.push(warmMs)
    }
  }
  return [
    compare(`refresh with nothing new, ${count} releases`, warm),
    compare(`first refresh and one manifest, ${count} releases`, cold),
  ]
}

function compare(what: string, runs: ReadonlyMap<string, readonly number[]>): Figure {
  const medians = [...runs].map(([name, ms]) => ({ name, ms: median(ms) }))
  const ours = medians.find(({ name }) => name === 'ours')?.ms ?? Number.NaN
  const peers = medians.filter(({ name }) => name !== 'ours')
  const fastest = Math.min(...peers.map(({ ms }) => ms))
  return {
    what: `${what}, median of ${ROUNDS}`,
    ours: inWords(ours),
    peer: peers.map(({ name, ms }) => `${name} ${inWords(ms)}`).join(', '),
    ratio: (ours / fastest).toFixed(2),
    goal: 'not slower than the faster one',
    held: ours <= fastest,
  }
}

/** What goes over the wire, both ways and headers included, for a host that knows all but the newest release, against one role that lists everything. */
async function bytesBehind(repository: LongRepository, place: string, server: string): Promise<Figure> {
  const home = join(place, 'behind')
  await mkdir(home, { recursive: true })
  await writeFile(join(home, 'root.json'), repository.root)
  const stamp = 'repo/metadata/timestamp.json'
  const look = async (target: string) => {
    // A process of its own would open its own connection too.
    const fetcher = createFetcher({ userAgent: 'netlink-bench', clock: systemClock })
    const trusted = await refreshStore({
      source: buildHttpSource(fetcher, `${server}/repo/metadata/`),
      store: buildFileTrustStore(nodeDisk, home),
      startedAt: systemClock.now(),
    })
    await verifyManifest(trusted, buildHttpSource(fetcher, `${server}/repo/targets/`), parseManifestPath(target))
    fetcher.close()
  }
  await writeFile(join(place, stamp), repository.before.get(stamp) ?? '')
  await look(repository.oldest)
  await writeFile(join(place, stamp), repository.after.get(stamp) ?? '')
  const before = await bytesOf(server)
  await look(repository.newest)
  const ours = (await bytesOf(server)) - before
  const manifest = [...repository.after].find(([path]) =>
    path.includes(repository.newest.replace('/manifest.json', '/')),
  )
  const naive = repository.naive.length + (manifest?.[1].length ?? 0) + (repository.after.get(stamp)?.length ?? 0)
  return {
    what: 'bytes over the wire for a host one release behind, 1000 releases',
    ours: `${ours} B with headers`,
    peer: `one role for all ${naive} B without`,
    ratio: (ours / naive).toFixed(3),
    goal: 'at most a tenth',
    held: ours <= naive / 10,
  }
}

async function bytesOf(server: string): Promise<number> {
  return Number(await (await fetch(`${server}/bytes`)).text())
}

async function serveFolder(folder: string): Promise<AsyncDisposable & { readonly url: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'file-server.ts'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { value: port } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  const gone = new Promise((resolve) => child.once('exit', resolve))
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await gone
    },
  }
}
