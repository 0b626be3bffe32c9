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

/** The version that the host says it runs, null before the first installation. */
export async function versionOf(host: WorldHost): Promise<string | null> {
  try {
    return JSON.parse(await readFile(join(host.home, 'current', 'generation.json'), 'utf8')).version
  } catch {
    return null
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

/** Waits until the host has committed a version: it is current, and the attempt is over. */
export async function reaches(folder: string, host: WorldHost, version: string, seconds: number): Promise<boolean> {
  const done = await until(seconds, async () => {
    if ((await versionOf(host)) !== version) return undefined
    const { stdout } = await onHost(folder, host, ['update', 'history', '--limit', '1', '--json'])
    const newest = JSON.parse(stdout).history?.[0]
    return newest?.to === version && newest.state === 'succeeded' ? true : undefined
  })
  return done === true
}

/** The journal of the newest attempt as text, empty if there is none. */
export async function newestJournal(host: WorldHost): Promise<string> {
  try {
    const updates = join(host.home, 'state', 'updates')
    const newest = (await readdir(updates)).sort((a, b) => a.slice(-15).localeCompare(b.slice(-15))).at(-1)
    return newest ? await readFile(join(updates, newest, 'journal.jsonl'), 'utf8') : ''
  } catch {
    return ''
  }
}
