// What expires, told in time and signed anew; and what an expired repository stops. Short expiries are signed here with the holders' own keys, because the
// program itself gives none.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { refresh } from '../../keys/refresh.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { run, until } from '../world/programs.ts'
import { answerOf, openWorld, type PublisherWorld } from './world.ts'

const DAY_S = 86_400
const inSeconds = (seconds: number) => `${new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19)}Z`

/** The newest published document of a role. */
async function publishedRole(world: PublisherWorld, role: string): Promise<Uint8Array> {
  const folder = join(world.folder, 'srv', 'storage', 'repo', 'metadata')
  const names = (await readdir(folder)).filter((name) => name.endsWith(`.${role}.json`))
  const [newest] = names.toSorted((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10))
  return readFile(join(folder, newest ?? ''))
}

/** Publishes these roles one version up with this expiry. */
async function expiring(
  world: PublisherWorld,
  roles: readonly string[],
  seconds: number,
  holders = ['alice'],
): Promise<void> {
  const expires = inSeconds(seconds)
  const keyrings = await Promise.all(
    holders.map((name) =>
      openKeyring(
        { disk: buildKeyFileDisk(nodeDisk) },
        join(world.folder, 'pub', 'keys', `${name}.age`),
        `${name}'s passphrase`,
      ),
    ),
  )
  const texts: Record<string, string> = {}
  for (const role of roles) {
    const { signed } = parseDocument(await publishedRole(world, role))
    const keyRole = role === 'targets' ? 'root' : role
    const signers = keyrings.flatMap((keyring) => keyring.signersFor(keyRole))
    texts[role] = Buffer.from(
      await signDocument({ ...signed, version: Number(signed.version) + 1, expires }, signers),
    ).toString()
  }
  const token = (await readFile(join(world.folder, 'srv', 'secrets', 'publish.token'), 'utf8')).trim()
  const { root, targets, ...metadata } = texts
  const request =
    root === undefined
      ? {
          path: 'releases',
          body: { metadata: { ...(targets ? { targets } : {}), ...metadata }, manifests: {}, dry_run: false },
        }
      : { path: 'root', body: { roots: [root], targets: targets ?? null, metadata } }
  const answer = await fetch(`http://127.0.0.1:${world.port}/api/v1/publish/${request.path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(request.body),
  })
  expect(answer.status, await answer.text()).toBe(200)
}

async function hostOf(world: PublisherWorld) {
  const store = new SimTrustStore(await readFile(join(world.folder, 'pub', 'root.json')))
  const load = async (file: string) => {
    const answer = await fetch(`http://127.0.0.1:${world.port}/repo/metadata/${file}`)
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : ('missing' as const)
  }
  return { look: () => refresh({ source: { load }, store, startedAt: new Date() }) }
}

async function listed(world: PublisherWorld) {
  const outcome = await world.publish('expire', 'list', '--json', '--dir', 'pub')
  expect(outcome.status, outcome.stdout).toBe(0)
  const { roles } = answerOf(outcome) as unknown as {
    roles: { role: string; version: number; state: string; within_days: number | null }[]
  }
  return new Map(roles.map(({ role, ...facts }) => [role, facts]))
}

test('what expires soon is told and signed anew by as many as it takes; what is good stays', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  expect((await listed(world)).get('alpha')).toEqual({
    version: 1,
    state: 'ok',
    within_days: null,
    expires: expect.any(String),
  })
  const idle = await world.publish('expire', 'refresh', '--dir', 'pub')
  expect(idle).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing would change') })
  await expiring(world, ['targets'], 20 * DAY_S, ['alice', 'bob'])
  await expiring(world, ['beta'], 5 * DAY_S, ['alice', 'bob'])
  expect(Object.fromEntries(await listed(world))).toMatchObject({
    targets: { state: 'soon', within_days: 30 },
    beta: { state: 'soon', within_days: 7 },
    alpha: { state: 'ok' },
  })

  const warned = await run(world.folder, 'netlink-server', ['doctor', '--dir', 'srv'])
  expect(warned.status, warned.stdout).toBe(0)
  expect(warned.stdout).toMatch(/warning +expiry +beta expires[^\n]*\n +Next: netlink-publish expire refresh/)
  expect(warned.stdout).toMatch(/warning +expiry +targets expires/)

  const dry = await world.publish('expire', 'refresh', '--dry-run', '--dir', 'pub')
  expect(dry.stdout).toContain('targets v3: 0 of 2')
  const alone = await world.signing(['alice'], 'expire', 'refresh', '--dir', 'pub')
  expect(alone).toMatchObject({ status: 7, stderr: expect.stringContaining('expire refresh --dir') })
  expect((await listed(world)).get('beta')).toMatchObject({ version: 2, state: 'soon' })
  expect(await world.signing(['carol'], 'expire', 'refresh', '--dir', 'pub')).toMatchObject({ status: 4 })
  const both = await world.signing(['carol'], 'expire', 'refresh', '--dir', 'pub', '--yes')
  expect(both, both.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('is published') })
  const after = await listed(world)
  expect([...after].filter(([, { state }]) => state !== 'ok')).toEqual([])
  expect([after.get('beta')?.version, after.get('targets')?.version, after.get('alpha')?.version]).toEqual([3, 3, 1])
  expect(await world.publish('expire', 'refresh', 'timestamp', '--dir', 'pub')).toMatchObject({ status: 2 })
  expect(await world.signing(['alice', 'bob'], 'expire', 'refresh', 'root', '--dir', 'pub')).toMatchObject({
    status: 0,
  })
  expect((await listed(world)).get('root')).toMatchObject({ version: 2 })
}, 120_000)

test('an expired root and an expired channel stop releases and hosts, until they are signed anew', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const first = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(first, first.stderr).toMatchObject({ status: 0 })
  const host = await hostOf(world)
  await host.look()
  await expiring(world, ['root', 'alpha'], 4)
  await host.look()
  await until(20, async () =>
    host.look().then(
      () => undefined,
      (error) => (error.code === 'expired' ? true : undefined),
    ),
  )
  await expect(host.look()).rejects.toMatchObject({ code: 'expired', facts: { role: 'root' } })
  const stopped = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(stopped).toMatchObject({ status: 7, stderr: expect.stringContaining('E-EXPIRED') })
  expect((await listed(world)).get('root')).toMatchObject({ state: 'expired' })
  const sick = await run(world.folder, 'netlink-server', ['doctor', '--dir', 'srv'])
  expect(sick).toMatchObject({ status: 3, stdout: expect.stringMatching(/error +expiry +root has expired/) })

  // Whoever names one of them renews the other along: the server takes nothing over what has expired.
  const renewed = await world.signing(['alice'], 'expire', 'refresh', 'root', '--dir', 'pub')
  expect(renewed, renewed.stderr).toMatchObject({ status: 0 })
  const trusted = await host.look()
  expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(1)
  const next = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(next, next.stderr).toMatchObject({ status: 0 })
}, 120_000)
