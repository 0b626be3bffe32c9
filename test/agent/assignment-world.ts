// A host that acts by itself, and a director whose statements can be signed by anyone, say anything and come again. Over HTTP, against real signed bytes; the
// agent's own code in this process, on its own folder.
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckResult } from '../../agent/check.ts'
import type { Asked } from '../../agent/decide.ts'
import { loadInstalled } from '../../agent/engine/layout.ts'
import { openHost } from '../../agent/host.ts'
import { lookAndRemember } from '../../agent/look.ts'
import { buildMachine } from '../../agent/machine.ts'
import { performTask } from '../../agent/worker-tasks.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import type { Signer } from '../../keys/signer.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

export type Fields = Readonly<Record<string, unknown>>

export type AssignmentWorld = Awaited<ReturnType<typeof assignmentWorld>>

export const AUTO = 'update_system:\n  automatic:\n    mode: auto\n    jitter: 0s\n'

/** A host on 0a2 that follows alpha; 0a1, 0a3 and 0a4 are published too, and 0a2 allows the way down to 0a1. Two of alpha's keys must sign. */
export async function assignmentWorld() {
  const world = await buildAgentWorld()
  const { repo } = world
  repo.delegate('targets', { name: 'director', paths: ['assignments/*'], terminating: true })
  repo.addKey('alpha')
  repo.setThreshold('alpha', 2)
  await repo.publish('targets', 'alpha')
  await writeFile(join(world.folder, 'root.json'), repo.file('1.root.json'))
  await world.enrol()
  await mkdir(join(world.home, 'config'), { recursive: true })
  const configure = (text: string) => writeFile(join(world.home, 'config', 'update.yml'), text)
  await configure(AUTO)
  const hostId: string = JSON.parse(await readFile(join(world.home, 'state', 'agent.json'), 'utf8')).host_id

  /** As the worker has it, with a clock that may stand elsewhere. */
  const machine = (aheadMs = 0) => {
    const surroundings = { env: world.env, platform: process.platform, arch: process.arch, cwd: () => world.folder }
    const now = () => new Date(Date.now() + aheadMs)
    return { ...buildMachine(surroundings, () => 0.5, 'test'), clock: { ...systemClock, now } }
  }
  let said: string | null = null
  world.tricks.set('/api/v1/agent/assignment', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ document: said }))
  })
  const hashOf = (version: string) => {
    const [, bytes] = [...repo.targetFiles].find(([path]) => path.startsWith(`alpha/${version}/`)) ?? []
    return createHash('sha256')
      .update(bytes ?? '')
      .digest('hex')
  }
  let sequence = 0
  const time = (seconds: number) => `${new Date(Date.now() + seconds * 1_000).toISOString().slice(0, 19)}Z`

  const assignment = (version: string, changes: Fields = {}): Fields => ({
    _type: 'assignment',
    schema: 'netlink.assignment/v1',
    product: 'demo',
    host_id: hostId,
    action: 'update',
    version,
    manifest_sha256: hashOf(version),
    rollout: null,
    not_before: time(-60),
    expires: time(3_600),
    sequence: ++sequence,
    ...changes,
  })
  const authorization = (from: string, to: string, changes: Fields = {}): Fields => ({
    _type: 'downgrade-authorization',
    schema: 'netlink.downgrade-authorization/v1',
    product: 'demo',
    hosts: [hostId],
    from: { version: from, manifest_sha256: hashOf(from) },
    to: { version: to, manifest_sha256: hashOf(to) },
    reason: 'it eats mail',
    not_before: time(-60),
    expires: time(3_600),
    nonce: createHash('sha256').update(`nonce ${++sequence}`).digest('hex').slice(0, 32),
    ...changes,
  })
  const sign = async (fields: Fields, signers: readonly Signer[] = repo.signersOf('director')) =>
    Buffer.from(await repo.sign(fields, signers)).toString('utf8')

  const auto: Asked = {
    by: 'host',
    policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0 },
    firstSeen: () => null,
    place: () => 0,
  }
  const base: AgentWorld = world
  return {
    ...base,
    hostId,
    machine,
    configure,
    hashOf,
    time,
    assignment,
    authorization,
    sign,
    signAuthorization: (fields: Fields, signers: readonly Signer[] = repo.signersOf('alpha')) => sign(fields, signers),
    /** What the server says from now on, null: nothing. */
    say: (document: string | null) => {
      said = document
    },
    /** One look of a host that acts by itself, without the acting. */
    look: async (aheadMs = 0, asked: Asked = auto): Promise<CheckResult> => {
      const host = await openHost(machine(aheadMs))
      return lookAndRemember(host, {
        goal: { kind: 'latest' },
        asked,
        how: 'refresh',
        engine: 'idle',
        assignment: 'asked',
      })
    },
    /** One look of the daemon's worker, with all that follows. `flush`: there is no socket. */
    tick: async (flush = true) => {
      const context = { machine: machine(), signal: new AbortController().signal, say: () => undefined }
      return performTask(context, { task: 'tick', flush })
    },
    runs: async () => (await loadInstalled(machine()))?.version ?? null,
    stateFile: (name: string) => join(base.home, 'state', name),
  }
}

/** The same host on 0a2, which allows the way down to 0a1; 0a3 and 0a4 are published since. */
export async function onTwo(): Promise<AssignmentWorld> {
  const world = await assignmentWorld()
  await world.publish('0a1')
  await world.publish('0a2', { compatibility: { downgrade_to: ['0a1'] } })
  await world.tick()
  if ((await world.runs()) !== '0a2') throw new Error('expected the host to install 0a2')
  await world.publish('0a3')
  await world.publish('0a4')
  return world
}

/** In a few words, as a test expects it. */
export function short({ decision, assignment }: CheckResult): string {
  const refused = assignment?.refused ? `, refused ${assignment.refused.code}` : ''
  switch (decision.kind) {
    case 'available':
      return `available ${decision.version}${refused}`
    case 'waiting':
      return `waiting ${decision.reason}${refused}`
    case 'up-to-date':
      return `up-to-date${refused}`
  }
}
