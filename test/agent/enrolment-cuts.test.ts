// Enrolment with the power cut at every one of its effects on the disk: the host is what it was, or enrolled, and never enrolled with another trust than its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { agentFilesOf } from '../../agent/config.ts'
import { loadEnrolment } from '../../agent/enrolled.ts'
import { type EnrolRequest, enrol } from '../../agent/enrolling.ts'
import { hostIdOf } from '../../agent/enrolment.ts'
import type { Machine } from '../../agent/machine.ts'
import { buildPaths } from '../../agent/paths.ts'
import { buildHostTrustStore } from '../../agent/trust-folder.ts'
import { finishReset, loadTrustedRoot } from '../../agent/trust-reset.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import type { Fetcher } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { refresh } from '../../keys/refresh.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { runWithCuts } from '../sim/cuts.ts'
import { createSimDisk } from '../sim/disk.ts'
import { SimRepository } from '../sim/repository.ts'

let locks: string
beforeAll(async () => {
  locks = await mkdtemp(join(tmpdir(), 'netlink-locks-'))
})
afterAll(() => rm(locks, { recursive: true, force: true }))

const base = buildPaths({ home: '/host' })

/** A host on this disk; its locks are the machine's own, since a power cut takes them along. */
function machineOn(disk: Disk, { now }: SimRepository): Machine {
  const paths = { ...base, locks }
  return {
    ...{ disk, paths, files: agentFilesOf(paths), random: () => 0, owner: 'the test' },
    clock: { now: () => now, monotonicMs: () => 0, sleep: async () => undefined },
    environment: {
      ...{ cwd: '/', home: '/host', server: undefined, token: undefined, configFile: undefined },
      ...{ proxy: {}, hasColor: false, user: 'test' },
    },
    facts: { os: 'linux', arch: 'x64', memoryBytes: 1, agentVersion: '0', bootId: 'boot', env: {} },
  }
}

/** A server of this repository that takes every token, or none. */
function serverOf(repo: SimRepository, takes: boolean): Fetcher {
  const refuse = () => Promise.reject(new Error('not asked for here'))
  return {
    bytes: async (url, { maxBytes }) => {
      const bytes = await repo.load(new URL(url).pathname.split('/').at(-1) ?? '', maxBytes)
      if (bytes === 'missing') throw new PlatformError('http-status', `${url}: status 404`, { url, status: 404 })
      return bytes
    },
    request: async (_method, url, { body }) => {
      const { public_key } = JSON.parse(Buffer.from(body as Uint8Array).toString())
      const answer = {
        ...{
          host_id: hostIdOf(Buffer.from(public_key, 'hex')),
          product: repo.root.product,
          group: null,
          stored_seq: 0,
        },
        ...{
          brake: { paused: false, reason: null, since: null },
          channel_role: Buffer.from(repo.file('1.alpha.json')).toString(),
        },
      }
      const problem = { type: 'about:blank', title: 'unknown token', status: 401, code: 'unauthenticated' }
      const bytes = Buffer.from(JSON.stringify(takes ? answer : problem))
      const stream = (async function* () {
        yield bytes
      })()
      return { status: takes ? 200 : 401, headers: {}, url, body: stream } as never
    },
    get: refuse,
    close: () => undefined,
  }
}

async function repositoryOf(product: string): Promise<SimRepository> {
  const repo = await SimRepository.create({ product })
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) repo.rotateKeys(role)
  Object.assign(repo.root, { product })
  await repo.publishAsIs('root')
  await repo.publish('targets')
  return repo
}

/** Each product's server has an address and a certificate authority of its own. */
function requestFor(repo: SimRepository, server = `https://${repo.root.product}`): EnrolRequest {
  return {
    ...{ server, token: 'nlk', name: 'web-01', channel: 'alpha', group: null, labels: {} },
    root: { kind: 'file', file: 'root.json', bytes: repo.file('1.root.json') },
    ...{ ca: `the authority of ${server}`, insecureHttp: false, service: { control: 'exec', unit: 'x.service' } },
  }
}

test.each([
  ['a fresh host', 'nobody'],
  ['a host of another product, with --force', 'first'],
  ['a host that followed this product, then another, and comes back', 'both'],
  ['a host of the same product', 'same'],
])(
  '%s: cut anywhere it is what it was or enrolled, and the same command goes on',
  async (_words, before) => {
    const [first, second] = [await repositoryOf('first'), await repositoryOf('second')]
    const start = createSimDisk()
    const followed = { nobody: [], first: [first], both: [second, first], same: [second] }[before] ?? []
    for (const repo of followed) await enrol(machineOn(start, repo), serverOf(repo, true), requestFor(repo))
    const was = followed.at(-1)
    const sides = new Set<string>()
    /** Cuts after which the same command was given again. */
    const tried = new Set<number>()

    const { cuts } = await runWithCuts(
      {
        scenario: (disk) => enrol(machineOn(disk, second), serverOf(second, true), requestFor(second)),
        // Whatever command comes next ends what was decided.
        recover: (disk) => finishReset(machineOn(disk, second)),
        check: async (disk, { isDone, at }) => {
          const machine = machineOn(disk, second)
          const enrolment = await loadEnrolment(machine)
          sides.add(enrolment?.product ?? 'nobody')
          if (isDone) expect(enrolment?.product).toBe('second')
          expect([was?.root.product, 'second']).toContain(enrolment?.product)
          if (!tried.has(at)) await enrol(machineOn(disk.fork(), second), serverOf(second, true), requestFor(second))
          tried.add(at)
          if (!enrolment) return
          const repo = enrolment.product === 'second' ? second : first
          const { server, ca } = requestFor(repo)
          expect([enrolment.server, enrolment.ca]).toEqual([server, ca])
          expect((await loadTrustedRoot(machine))?.sha256).toBe(fingerprintOf(repo.file('1.root.json')))
          const store = buildHostTrustStore(disk, machine.paths.trust)
          expect((await refresh({ source: repo, store, startedAt: repo.now })).product).toBe(enrolment.product)
        },
      },
      { start, samples: 2, recoveryCuts: 2, manner: 'throw' },
    )

    expect(cuts).toBeGreaterThan(15)
    expect(sides).toEqual(new Set([was?.root.product ?? 'nobody', 'second']))
  },
  120_000,
)

test('a host that moves to another server of the same product: cut anywhere it has that one’s authority, or still the first one’s', async () => {
  const repo = await repositoryOf('first')
  const start = createSimDisk()
  await enrol(machineOn(start, repo), serverOf(repo, true), requestFor(repo))
  const places = ['https://first', 'https://elsewhere']
  const seen = new Set<string>()
  await runWithCuts(
    {
      scenario: (disk) => enrol(machineOn(disk, repo), serverOf(repo, true), requestFor(repo, places[1])),
      recover: (disk) => finishReset(machineOn(disk, repo)),
      check: async (disk, { isDone }) => {
        const enrolment = await loadEnrolment(machineOn(disk, repo))
        seen.add(`${enrolment?.server}: ${enrolment?.ca}`)
        if (isDone) expect(enrolment?.server).toBe(places[1])
      },
    },
    { start, samples: 2, recoveryCuts: 1, manner: 'throw' },
  )
  expect([...seen].sort()).toEqual(places.map((place) => `${place}: the authority of ${place}`).sort())
}, 120_000)

test('a token that is refused changes nothing of what is trusted, wherever the power goes', async () => {
  const [first, second] = [await repositoryOf('first'), await repositoryOf('second')]
  const start = createSimDisk()
  await enrol(machineOn(start, first), serverOf(first, true), requestFor(first))
  await runWithCuts(
    {
      scenario: (disk) =>
        enrol(machineOn(disk, second), serverOf(second, false), requestFor(second)).catch((error: unknown) => {
          if (!(error instanceof Error && 'facts' in error)) throw error
        }),
      recover: (disk) => finishReset(machineOn(disk, second)),
      check: async (disk) => {
        const machine = machineOn(disk, second)
        expect((await loadEnrolment(machine))?.product).toBe('first')
        expect((await loadTrustedRoot(machine))?.sha256).toBe(fingerprintOf(first.file('1.root.json')))
      },
    },
    { start, samples: 2, recoveryCuts: 1, manner: 'throw' },
  )
}, 120_000)
