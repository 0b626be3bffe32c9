// Download, verify and unpack a real artifact of about 100 MB over loopback, against the same done by curl, sha256sum, zstd and tar.
// Ours is timed inside the real command, from the first byte asked for to the tree that is staged and checked again.
import { spawn } from 'node:child_process'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { WorldHost } from '../world/host.ts'
import { run } from '../world/programs.ts'
import { buildWorld, expectDone, type World } from '../world/world.ts'
import { type Figure, inWords, median, timed } from './figure.ts'
import { inMiB, memoryOf } from './memory.ts'

const ROUNDS = 5
const LIMIT = 1.5
const MEMORY_LIMIT = 200 * 2 ** 20
const root = join(import.meta.dirname, '..', '..')

export async function install(folder: string): Promise<Figure[]> {
  const node = dirname(createRequire(import.meta.url).resolve(`node-linux-${process.arch}/package.json`))
  await cp(node, join(folder, 'node-release'), { recursive: true })
  const release = {
    platform: `linux-${process.arch}`,
    changelog: { summary: 'Node itself', entries: [{ type: 'added', text: 'Node' }] },
  }
  await writeFile(join(folder, 'node-release', 'release.json'), JSON.stringify(release))
  const world = await buildWorld(folder)
  expectDone(await world.publish(['release', '0a1', '--from', 'node-release']))
  const { stdout } = expectDone(await run(folder, 'netlink-publish', ['show', '0a1', '--dir', 'pub', '--json']))
  const { sha256, length } = JSON.parse(stdout).artifacts[0]

  const ours: number[] = []
  const peer: number[] = []
  let peak = 0
  for (let round = 0; round < ROUNDS; round++) {
    const host = await world.enrol(`installer-${round}`, 'alpha')
    const measured = await upgrade(folder, host)
    ours.push(measured.ms)
    peak = Math.max(peak, measured.peak)
    await rm(host.home, { recursive: true, force: true })
    peer.push(await byHand(world, folder, sha256))
  }
  const ratio = median(ours) / median(peer)
  return [
    {
      what: `download, verify, unpack ${inMiB(length)} (node-linux-${process.arch}), ${ROUNDS} runs`,
      ours: inWords(median(ours)),
      peer: `curl | tee >(sha256sum) | zstd -d | tar x ${inWords(median(peer))}`,
      ratio: ratio.toFixed(2),
      goal: `at most ${LIMIT}`,
      held: ratio <= LIMIT,
    },
    {
      what: 'peak memory of the process that updates',
      ours: inMiB(peak),
      peer: `limit ${inMiB(MEMORY_LIMIT)}`,
      ratio: (peak / MEMORY_LIMIT).toFixed(2),
      goal: 'at most 1',
      held: peak <= MEMORY_LIMIT,
    },
  ]
}

/** The real command; times from its own phase events: `download` begins, `stage` begins (unpacked, synced, in place). */
function upgrade(folder: string, host: WorldHost): Promise<{ ms: number; peak: number }> {
  return new Promise((resolve, reject) => {
    const args = [join(root, 'agent', 'bin.cjs'), 'update', 'upgrade', '--latest', '--yes', '--json']
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: { ...process.env, NETLINK_HOME: host.home },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let peak = 0
    const watch = setInterval(() => {
      if (child.pid)
        memoryOf(child.pid).then(
          (memory) => (peak = Math.max(peak, memory.peak || 0)),
          () => undefined,
        )
    }, 20)
    let started = Number.NaN
    let staged = Number.NaN
    let rest = ''
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const event = JSON.parse(line)
        if (event.type !== 'phase') continue
        if (event.phase === 'download' && Number.isNaN(started)) started = performance.now()
        if (event.phase === 'stage' && Number.isNaN(staged)) staged = performance.now()
      }
    })
    child.once('close', (status) => {
      clearInterval(watch)
      if (status === 0 && staged > started) resolve({ ms: staged - started, peak })
      else reject(new Error(`upgrade ended with ${status} and ${staged - started} ms`))
    })
  })
}

async function byHand(world: World, folder: string, sha256: string): Promise<number> {
  const target = join(folder, 'by-hand')
  await mkdir(target)
  const pipe = `set -o pipefail; curl -sf ${world.server}/repo/artifacts/${sha256} | tee >(sha256sum >sum) | zstd -d -q --long=31 | tar x -C by-hand`
  const ms = await timed(
    () =>
      new Promise<void>((resolve, reject) => {
        const child = spawn('bash', ['-c', pipe], { cwd: folder, stdio: 'inherit' })
        child.once('exit', (status) => (status === 0 ? resolve() : reject(new Error(`the pipe ended with ${status}`))))
      }),
  )
  await rm(target, { recursive: true })
  return ms
}
