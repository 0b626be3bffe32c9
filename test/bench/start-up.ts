// `netlink update version` against `node -e 0`: how long a person waits for an answer that needs no network. Runs turn by turn, so that
// the machine's moods hit both.
import { execFile } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onHost } from '../world/host.ts'
import { buildWorld, expectDone } from '../world/world.ts'
import { type Figure, inWords, median, timed } from './figure.ts'

const execute = promisify(execFile)
const ROUNDS = 15
const LIMIT_MS = 150
const root = join(import.meta.dirname, '..', '..')

export async function startUp(folder: string): Promise<Figure[]> {
  const world = await buildWorld(folder)
  await cp(join(root, 'docs', 'examples', 'app-v1'), join(folder, 'app-v1'), { recursive: true })
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  const host = await world.enrol('starter', 'alpha')
  expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes']))
  await onHost(folder, host, ['service', 'stop'])

  const env = { ...process.env, NETLINK_HOME: host.home }
  const bare: number[] = []
  const ours: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await timed(() => execute(process.execPath, ['-e', '0'])))
    ours.push(
      await timed(() => execute(process.execPath, [join(root, 'agent', 'bin.cjs'), 'update', 'version'], { env })),
    )
  }
  const more = median(ours) - median(bare)
  return [
    {
      what: `netlink update version, ${ROUNDS} runs`,
      ours: inWords(median(ours)),
      peer: `node -e 0 ${inWords(median(bare))}`,
      ratio: (median(ours) / median(bare)).toFixed(2),
      goal: `at most ${LIMIT_MS} ms more (${inWords(more)})`,
      held: more < LIMIT_MS,
    },
  ]
}
