// `npm run demo`: the main job on real input, in under a minute. No root, no container, free ports, everything below one folder.
//
// Real releases of a real program (esbuild) are signed by two of three people, published, rolled out to three hosts; a bad one goes back by
// itself, a killed agent recovers, a tampered and a stale repository are refused. Exit 0 only if every expectation held.
//   --keep       leaves it running and prints the addresses
//   --folder D   where everything goes (default: .demo below the current folder; emptied first)

import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { freePorts } from '../services/free-port.ts'
import {
  journalOf,
  makeHost,
  onHost,
  pageOf,
  quarantineOf,
  reaches,
  setAutomatic,
  startAgent,
  versionOf,
  type WorldHost,
} from '../world/host.ts'
import { killHard, run, start, stopAll, until } from '../world/programs.ts'
import { changePublished, flipped, publishedFile } from '../world/storage.ts'
import { buildPublisher, errorLines, passphrases } from './publisher.ts'
import { type DemoRelease, writeRelease } from './releases.ts'
import { show } from './show.ts'
import { expectation, headline, outcome, quoted, shown, step } from './transcript.ts'

const { values: options } = parseArgs({
  options: { keep: { type: 'boolean', default: false }, folder: { type: 'string', default: '.demo' } },
})
const folder = resolve(options.folder)
const HOLDERS = ['alice', 'bob', 'carol'] as const
const TIMESTAMP = 'metadata/timestamp.json'
const { publish, promote, logsOf } = buildPublisher(folder)

await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true, mode: 0o700 })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void finish(130))

headline('NetLink Update: sign, publish, update, prove, roll back', [
  `everything below ${options.folder}; nothing of it is simulated`,
])
try {
  await story()
} catch (error) {
  expectation(
    'the demo runs to its end',
    false,
    error instanceof Error ? (error.stack ?? error.message) : String(error),
  )
}
await finish(outcome().broken === 0 ? 0 : 1)

async function story(): Promise<void> {
  const port = await freePorts(4)
  const server = `http://127.0.0.1:${port}`
  const releases = await writeReleases()
  const hosts = await Promise.all(
    (['web-1', 'web-2', 'web-3'] as const).map((name, index) =>
      makeHost(folder, name, index === 0 ? 'alpha' : 'release', port + 1 + index),
    ),
  )
  const [canary, ...others] = hosts as [WorldHost, ...WorldHost[]]

  await startServer(server)
  await makeKeys(server)
  await publishFirst(releases.first)
  await enrolAndInstall(server, hosts, releases.first)
  await publishSecond(releases.second, canary, others)
  await publishBad(releases.bad, releases.second, canary, others)
  await killInMidUpdate(releases.third, canary)
  await tamper(server, releases.last, canary)
  await fleetTable(server, canary)
  if (options.keep) await keep(server, hosts)
}

async function writeReleases(): Promise<Record<'first' | 'second' | 'bad' | 'third' | 'last', DemoRelease>> {
  const below = join(folder, 'releases')
  const [first, second, bad, third, last] = await Promise.all([
    writeRelease(below, {
      name: 'r1',
      alias: 'esbuild-1',
      summary: 'First release',
      changes: [{ type: 'added', text: 'Serves the page' }],
    }),
    writeRelease(below, {
      name: 'r2',
      alias: 'esbuild-2',
      summary: 'Newer esbuild',
      changes: [{ type: 'fixed', text: 'Fixes from upstream' }],
    }),
    writeRelease(below, {
      name: 'r3',
      alias: 'esbuild-3',
      summary: 'Careless',
      changes: [{ type: 'changed', text: 'Tidied the pages' }],
      forgetHealthPage: true,
    }),
    writeRelease(below, {
      name: 'r4',
      alias: 'esbuild-3',
      summary: 'esbuild 0.28',
      changes: [{ type: 'added', text: 'What 0.28 brings' }],
    }),
    writeRelease(below, {
      name: 'r5',
      alias: 'esbuild-3',
      summary: 'New page',
      changes: [{ type: 'changed', text: 'A new page' }],
    }),
  ])
  return { first, second, bad, third, last }
}

async function startServer(server: string): Promise<void> {
  step('A server that nobody needs to trust')
  const init = await show(folder, 'netlink-server', ['init', '--dir', 'srv'], {
    pick: (lines) => lines.slice(0, 4).map((line) => line.replace(/(\b[0-9a-f]{16})[0-9a-f]{48}$/, '$1…')),
  })
  expectation('the server has its own folder, keys and database', init.status === 0, init.stderr)
  shown('netlink-server serve --dir srv &')
  start(folder, 'netlink-server', ['serve', '--dir', 'srv', '--listen', server.replace('http://', '')], 'server.log')
  const ready = await until(20, async () => ((await fetch(`${server}/readyz`)).ok ? true : undefined))
  expectation(`it answers at ${server}`, ready === true)
}

async function makeKeys(server: string): Promise<void> {
  step('Three people hold the keys, two of them must sign')
  for (const name of HOLDERS)
    await writeFile(join(folder, `${name}.pass`), randomBytes(16).toString('hex'), { mode: 0o600 })
  const init = await show(
    folder,
    'netlink-publish',
    [
      'init',
      '--dir',
      'pub',
      '--product',
      'pages',
      '--server',
      server,
      '--token-file',
      'srv/secrets/publish.token',
      '--signers',
      HOLDERS.join(','),
      '--threshold',
      '2',
      ...passphrases(HOLDERS),
    ],
    {
      words: 'netlink-publish init --dir pub --product pages --signers alice,bob,carol --threshold 2 …',
      pick: (lines) => lines.slice(0, 2),
    },
  )
  expectation(
    'root and channel keys made, root version 1 signed and accepted by the server',
    init.status === 0,
    init.stderr,
  )
}

async function publishFirst(release: DemoRelease): Promise<void> {
  step(`The first release: esbuild ${release.program}, from alpha to release`)
  const alpha = await publish('0a1', release, ['alice', 'bob'])
  expectation(
    '0a1 is signed by two of three, published, downloaded again and verified',
    alpha.status === 0,
    alpha.stderr,
  )
  const beta = await promote('0a1', 'beta')
  const stable = await promote('0b1', 'release')
  expectation(
    'the same bytes are promoted: 0a1, 0b1, 0r1',
    beta.status === 0 && stable.status === 0,
    beta.stderr + stable.stderr,
  )
}

async function enrolAndInstall(server: string, hosts: readonly WorldHost[], release: DemoRelease): Promise<void> {
  step('Three hosts: web-1 follows alpha, web-2 and web-3 follow release')
  await run(folder, 'netlink-server', [
    'enroll-token',
    'create',
    '--dir',
    'srv',
    '--uses',
    '3',
    '--out',
    'enroll.token',
  ])
  shown('netlink agent enroll --server … --token-file enroll.token --trust-root pub/root.json')
  const enrolled = await Promise.all(
    hosts.map((host) =>
      onHost(folder, host, [
        'agent',
        'enroll',
        '--server',
        server,
        '--token-file',
        'enroll.token',
        '--trust-root',
        'pub/root.json',
        '--channel',
        host.channel,
        '--name',
        host.name,
      ]),
    ),
  )
  expectation(
    'each pins the root it was given and makes a key of its own',
    enrolled.every((one) => one.status === 0),
    enrolled.map((one) => one.stderr).join(''),
  )
  await Promise.all(hosts.map((host) => setAutomatic(host, 'auto')))
  shown('netlink agent run &        # automatic updates are on')
  for (const host of hosts) startAgent(folder, host)
  const installed = await Promise.all(hosts.map((host) => reaches(host, '0r1', 25)))
  const pages = await Promise.all(hosts.map(pageOf))
  expectation('all three install 0r1, start it and find it healthy', installed.every(Boolean), await logsOf(hosts))
  expectation(
    `all three serve esbuild ${release.program}`,
    pages.every((page) => page?.includes(release.program)),
    pages.join('\n'),
  )
}

async function publishSecond(release: DemoRelease, canary: WorldHost, others: readonly WorldHost[]): Promise<void> {
  step(`The next: esbuild ${release.program}`)
  const alone = await publish('0a2', release, ['alice'])
  expectation('one signature is not enough: refused, nothing published', alone.status === 7, alone.stderr)
  const both = await publish('0a2', release, ['alice', 'carol'])
  expectation('two are', both.status === 0, both.stderr)
  expectation('web-1 updates itself to 0a2', await reaches(canary, '0a2', 20), await logsOf([canary]))
  const beta = await promote('0a2', 'beta')
  const stable = await promote('0b2', 'release')
  expectation(
    'promoted to release, still the same bytes',
    beta.status === 0 && stable.status === 0,
    beta.stderr + stable.stderr,
  )
  const rolled = await Promise.all([...others, canary].map((host) => reaches(host, '0r2', 25)))
  const pages = await Promise.all(others.map(pageOf))
  expectation(
    'web-2 and web-3 update themselves to 0r2',
    rolled.every(Boolean) && pages.every((page) => page?.includes(release.program)),
    await logsOf(others),
  )
}

async function publishBad(
  bad: DemoRelease,
  good: DemoRelease,
  canary: WorldHost,
  others: readonly WorldHost[],
): Promise<void> {
  step('A bad release: its health check asks for a page that was forgotten')
  const published = await publish('0a3', bad, ['bob', 'carol'])
  expectation('0a3 is properly signed and published', published.status === 0, published.stderr)
  await until(25, async () => ((await quarantineOf(canary)).includes('0a3') ? true : undefined))
  const { stdout } = await onHost(folder, canary, ['update', 'history', '--limit', '1', '--json'])
  const newest = JSON.parse(stdout).history?.[0]
  const back = newest?.to === '0a3' && newest.state === 'reverted' ? newest : undefined
  expectation(
    'web-1 tries it, finds it unhealthy and goes back to 0r2 by itself',
    back !== undefined && (await versionOf(canary)) === '0r2',
    await logsOf([canary]),
  )
  if (back) quoted(`web-1: ${back.code}: ${back.reason}`)
  expectation(`web-1 serves esbuild ${good.program} again`, (await pageOf(canary))?.includes(good.program) === true)
  const spared = await Promise.all(others.map(versionOf))
  expectation(
    '0a3 was never promoted: web-2 and web-3 never saw it',
    spared.every((version) => version === '0r2'),
  )
}

async function killInMidUpdate(release: DemoRelease, canary: WorldHost): Promise<void> {
  step('kill -9 in the middle of an update')
  const published = await publish('0a4', release, ['alice', 'bob'])
  expectation(`0a4 (esbuild ${release.program}) is published`, published.status === 0, published.stderr)
  const switched = await until(15, async () =>
    (await journalOf(canary, '0a4')).some((line) => line.includes('"step":"switch"')) ? true : undefined,
  )
  shown('kill -9 (agent and worker of web-1)')
  if (canary.agent) killHard(canary.agent)
  const journal = await journalOf(canary, '0a4')
  const undecided = switched === true && !journal.some((line) => line.includes('"to":"end"'))
  expectation(
    `killed after ${journal.length} journal records: switched to 0a4, not yet proven`,
    undecided,
    journal.join('\n'),
  )
  startAgent(folder, canary)
  expectation('started again, web-1 recovers and ends on 0a4', await reaches(canary, '0a4', 25), await logsOf([canary]))
  expectation(`it serves esbuild ${release.program}`, (await pageOf(canary))?.includes(release.program) === true)
}

async function tamper(server: string, release: DemoRelease, canary: WorldHost): Promise<void> {
  step('An attacker on the server')
  const admin = ['--server', server, '--token-file', 'srv/secrets/admin.token']
  const pause = await show(folder, 'netlink-admin', ['pause', '--reason', 'looking into it', ...admin], {
    words: "netlink-admin pause --reason 'looking into it'",
  })
  expectation('the fleet-wide brake is on', pause.status === 0, pause.stderr)
  const stale = await readFile(publishedFile(folder, TIMESTAMP))
  const published = await publish('0a5', release, ['alice', 'bob'])
  expectation(
    '0a5 is published; nobody installs it while the brake is on',
    published.status === 0 && (await versionOf(canary)) === '0a4',
    published.stderr,
  )

  const listed = await run(folder, 'netlink-publish', ['show', '0a5', '--dir', 'pub', '--json'])
  const artifact = `artifacts/${JSON.parse(listed.stdout).artifacts[0].sha256}`
  const mend = await changePublished(folder, artifact, (bytes) => flipped(bytes, 100_000))
  const tampered = await show(folder, 'netlink', ['update', 'upgrade', '--to', '0a5', '--yes'], {
    env: { NETLINK_HOME: canary.home },
    pick: errorLines,
  })
  expectation(
    'one byte of the artifact was flipped in storage: refused, exit 7',
    tampered.status === 7,
    tampered.stdout,
  )
  await mend()

  const renew = await changePublished(folder, TIMESTAMP, () => stale)
  const replayed = await show(folder, 'netlink', ['update', 'check'], {
    env: { NETLINK_HOME: canary.home },
    pick: errorLines,
  })
  expectation('older metadata was put back: refused, exit 7', replayed.status === 7, replayed.stdout)
  await renew()

  const resume = await show(folder, 'netlink-admin', ['resume', '--reason', 'storage restored', ...admin], {
    words: "netlink-admin resume --reason 'storage restored'",
  })
  expectation(
    'storage restored, brake off: the same release is accepted',
    resume.status === 0 && (await reaches(canary, '0a5', 20)),
    await logsOf([canary]),
  )
}

async function fleetTable(server: string, canary: WorldHost): Promise<void> {
  step('What runs where')
  const history = await show(folder, 'netlink', ['update', 'history', '--limit', '5'], {
    env: { NETLINK_HOME: canary.home },
    words: 'netlink update history --limit 5        # web-1',
    table: true,
  })
  expectation('web-1 remembers what it did', history.status === 0 && history.stdout.includes('0a3'))
  const args = ['fleet', 'status', '--server', server, '--token-file', 'srv/secrets/admin.token']
  await until(10, async () => {
    const { stdout } = await run(folder, 'netlink-admin', ['fleet', 'status', '--json', ...args.slice(2)])
    return stdout.includes('"0a5"') ? true : undefined
  })
  const status = await show(folder, 'netlink-admin', args, { words: 'netlink-admin fleet status', table: true })
  const complete = ['0a5', '0r2'].every((version) => status.stdout.includes(version))
  expectation('the server knows: one host on 0a5, two on 0r2', status.status === 0 && complete, status.stderr)
}

async function keep(server: string, hosts: readonly WorldHost[]): Promise<void> {
  console.log(`\nStill running (Ctrl-C stops it):`)
  console.log(`  server  ${server}   admin token in ${options.folder}/srv/secrets/admin.token`)
  for (const host of hosts) console.log(`  ${host.name}   http://127.0.0.1:${host.port}/   NETLINK_HOME=${host.home}`)
  await new Promise(() => undefined)
}

async function finish(status: number): Promise<never> {
  await stopHosts()
  await stopAll()
  const { broken, seconds } = outcome()
  const words =
    broken === 0
      ? 'every expectation held'
      : `${broken} expectation${broken === 1 ? '' : 's'} did not hold; logs are in ${options.folder}`
  console.log(`\n${status === 130 ? 'interrupted' : words}, ${seconds.toFixed(1)} s`)
  process.exit(status)
}

/** The supervisors of the services outlive their agents on purpose, so each service is stopped by its own command. */
async function stopHosts(): Promise<void> {
  const homes = ['web-1', 'web-2', 'web-3'].map((name) => join(folder, 'hosts', name))
  await Promise.all(homes.map((home) => run(folder, 'netlink', ['service', 'stop'], { NETLINK_HOME: home })))
}
