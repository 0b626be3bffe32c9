// A server that was put back from a backup, older than a change of root and than releases, gets from the publisher's folder what it lacks.
import type { ChildProcess } from 'node:child_process'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts } from '../services/free-port.ts'
import { run, start, until } from '../world/programs.ts'
import { publishHere } from '../world/publisher-here.ts'
import { tempFolder } from './folder.ts'
import { answerOf, asSigners } from './world.ts'

const examples = join(import.meta.dirname, '..', '..', 'docs', 'examples')
const SIGN = asSigners(['alice', 'bob'])

/** A server as a process of its own, because its folder is copied away and back. */
async function openWorld() {
  const folder = await tempFolder()
  const port = await freePorts(1)
  for (const name of ['alice', 'bob', 'carol'])
    await writeFile(join(folder, `${name}.pass`), `${name}'s passphrase\n`, { mode: 0o600 })
  for (const app of ['app-v1', 'app-v2']) await cp(join(examples, app), join(folder, app), { recursive: true })
  expect(await run(folder, 'netlink-server', ['init', '--dir', 'srv'])).toMatchObject({ status: 0 })
  let serving: ChildProcess | undefined
  const serve = async () => {
    serving = start(folder, 'netlink-server', ['serve', '--dir', 'srv', '--listen', `127.0.0.1:${port}`], 'server.log')
    const ready = await until(30, async () => ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok ? true : undefined))
    expect(ready, await readFile(join(folder, 'server.log'), 'utf8')).toBe(true)
  }
  const stop = async () => {
    const child = serving
    if (!child || child.exitCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
  }
  onTestFinished(stop)
  const publish = (...args: readonly string[]) => publishHere(folder, [...args])
  const works = async (...args: readonly string[]) => {
    const outcome = await publish(...args)
    expect(outcome, args.join(' ')).toMatchObject({ status: 0 })
    return outcome
  }
  await serve()
  const where = ['--dir', 'pub', '--product', 'demo', '--server', `http://127.0.0.1:${port}`]
  const secrets = [
    '--token-file',
    'srv/secrets/publish.token',
    ...['alice', 'bob', 'carol'].flatMap((name) => ['--passphrase-file', `${name}=${name}.pass`]),
  ]
  await works('init', ...where, ...secrets, '--signers', 'alice,bob,carol', '--threshold', '2')
  await works('release', '0a1', '--from', 'app-v1', ...SIGN)
  return {
    ...{ folder, publish, works, url: `http://127.0.0.1:${port}` },
    /** Keeps the server's folder as it is now. */
    backUp: async () => {
      await stop()
      await cp(join(folder, 'srv'), join(folder, 'backup'), { recursive: true, preserveTimestamps: true })
      await serve()
    },
    putBack: async () => {
      await stop()
      await rm(join(folder, 'srv'), { recursive: true })
      await cp(join(folder, 'backup'), join(folder, 'srv'), { recursive: true, preserveTimestamps: true })
      await serve()
    },
  }
}

test('what a server put back from an older backup lacks, roots and releases included, comes from the publisher, and nobody signs', async () => {
  const { folder, publish, works, url, backUp, putBack } = await openWorld()
  await backUp()
  expect(answerOf(await works('resend', '--json'))).toMatchObject({ unchanged: true, documents: [], versions: [] })
  await works('root', 'set-threshold', '1', '--role', 'alpha', ...SIGN)
  await works('release', '0a2', '--from', 'app-v2', ...asSigners(['alice']))
  await works('root', 'rotate', 'carol', ...asSigners(['alice', 'bob', 'carol']))
  await works('promote', '0a1', '--to', 'beta', ...SIGN)
  // What came last, and brought no release: a withdrawal and a minimum.
  await works('yank', '0a1', '--reason', 'leaks', ...asSigners(['alice']))
  await works('minimum', '0b1', ...SIGN)
  await works('verify', url)
  // A folder of an earlier version kept no roots: it gets them while the server has them.
  await rm(join(folder, 'pub', 'repository', 'roots'), { recursive: true })
  await works('list')
  await cp(join(folder, 'pub'), join(folder, 'other'), { recursive: true })
  await putBack()

  expect(await publish('list')).toMatchObject({ status: 7, stderr: expect.stringContaining('rollback') })
  // What this folder has not kept either is named, and a kept file is believed no more than a server's.
  const copy = join(folder, 'pub', 'repository')
  const manifests = join(copy, 'targets', 'alpha', '0a2')
  const [manifest = ''] = await readdir(manifests)
  for (const [file, words] of [
    [join(copy, 'roots', '2.root.json'), /needs root v2 first[\s\S]*Nothing was sent/],
    [join(manifests, manifest), /manifest of 0a2 is not in this folder[\s\S]*Nothing was sent/],
  ] as const) {
    const bytes = await readFile(file)
    for (const harm of [() => rm(file), () => writeFile(file, bytes.toString('utf8').replace('"demo"', '"dame"'))]) {
      await harm()
      expect(await publish('resend')).toMatchObject({ status: 7 })
    }
    await rm(file)
    expect((await publish('resend')).stderr).toMatch(words)
    await writeFile(file, bytes)
  }
  const dry = answerOf(await works('resend', '--dry-run', '--json'))
  const lacked = {
    documents: expect.arrayContaining([
      { role: 'root', version: 2 },
      { role: 'root', version: 3 },
      { role: 'targets', version: expect.any(Number) },
      { role: 'alpha', version: expect.any(Number) },
    ]),
    versions: expect.arrayContaining(['0a2', '0b1']),
  }
  expect(dry).toMatchObject({ dry_run: true, unchanged: false, ...lacked })
  const artifacts = join(folder, 'srv', 'storage', 'repo', 'artifacts')
  expect(await readdir(artifacts)).toHaveLength(1)

  expect(answerOf(await works('resend', '--json', '--reason', 'the disk broke'))).toMatchObject({
    unchanged: false,
    ...lacked,
  })
  expect(await readdir(artifacts)).toHaveLength(2)
  // As a stranger sees it: every release again, by the newest root.
  expect((await works('verify', url)).stdout).toContain('v3, from root.json')
  await works('verify', '0a2')
  await works('verify', '0b1')
  expect((await works('show', '0b1', '--offline')).stdout).not.toContain('withdrawn')
  expect(answerOf(await works('resend', '--json'))).toMatchObject({ unchanged: true })

  // Put back once more, and before anything is sent somebody publishes over the older state: that is not undone without a word.
  await putBack()
  const begun = join(folder, 'begun')
  await cp(join(folder, 'other'), begun, { recursive: true })
  await rm(join(begun, 'repository'), { recursive: true })
  await works('release', '0a3', '--from', 'app-v1', '--dir', 'begun', ...SIGN)
  for (const args of [['resend'], ['resend', '--dry-run']]) {
    const refused = await publish(...args)
    expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('E-CONFLICT') })
    expect(refused.stderr.replaceAll(/\s+/g, ' ')).toContain('the server has 0a3 in alpha, and this folder has not')
    expect(refused.stderr).toContain('Nothing was sent')
  }
}, 120_000)
