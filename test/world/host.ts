// One host: a real agent process with a real service, everything below its own folder.
import type { ChildProcess } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Outcome, run, start, until } from './programs.ts'

export interface WorldHost {
  readonly name: string
  readonly channel: 'alpha' | 'release'
  readonly home: string
  readonly port: number
  agent: ChildProcess | undefined
}

/** Makes the folder of a host and what its site decides: the service's port and that updates come by themselves. */
export async function makeHost(
  folder: string,
  name: string,
  channel: WorldHost['channel'],
  port: number,
): Promise<WorldHost> {
  const home = join(folder, 'hosts', name)
  await mkdir(join(home, 'config'), { recursive: true })
  await writeFile(join(home, 'config', 'app.env'), `PORT=${port}\n`)
  return { name, channel, home, port, agent: undefined }
}

/** Switches automatic updates on or off; the agent reads its configuration when it starts. */
export async function setAutomatic(host: WorldHost, mode: 'auto' | 'off'): Promise<void> {
  await writeFile(
    join(host.home, 'config', 'update.yml'),
    `update_system:\n  automatic:\n    mode: ${mode}\n    jitter: 0s\n`,
  )
}

/** Starts the daemon. */
export function startAgent(folder: string, host: WorldHost): void {
  host.agent = start(folder, 'netlink', ['agent', 'run'], `${host.name}.log`, { NETLINK_HOME: host.home })
}

/** A command on the host. */
export function onHost(folder: string, host: WorldHost, args: readonly string[]): Promise<Outcome> {
  return run(folder, 'netlink', args, { NETLINK_HOME: host.home })
}

/** The version that the host committed last, null before the first installation. */
export async function versionOf(host: WorldHost): Promise<string | null> {
  return (await readJson(join(host.home, 'version.json')))?.current_version ?? null
}

/** Versions that the host will not try again by itself. */
export async function quarantineOf(host: WorldHost): Promise<string> {
  return JSON.stringify((await readJson(join(host.home, 'state', 'quarantine.json'))) ?? {})
}

async function readJson(path: string) {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** What the service itself answers, undefined while it does not. */
export async function pageOf(host: WorldHost): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://127.0.0.1:${host.port}/`, { signal: AbortSignal.timeout(1_000) })
    return answer.ok ? await answer.text() : undefined
  } catch {
    return undefined
  }
}

/** Waits until the host has committed a version: it was proven healthy, and version.json says so. */
export async function reaches(host: WorldHost, version: string, seconds: number): Promise<boolean> {
  return (await until(seconds, async () => ((await versionOf(host)) === version ? true : undefined))) === true
}

/** The journal of the newest attempt at a version, a record a line; empty if there is none. */
export async function journalOf(host: WorldHost, version: string): Promise<string[]> {
  try {
    const updates = join(host.home, 'state', 'updates')
    const attempts = (await readdir(updates)).filter((name) => name.includes(`_${version}_2`))
    const newest = attempts.sort((a, b) => a.slice(-15).localeCompare(b.slice(-15))).at(-1)
    if (!newest) return []
    return (await readFile(join(updates, newest, 'journal.jsonl'), 'utf8')).trim().split('\n')
  } catch {
    return []
  }
}
