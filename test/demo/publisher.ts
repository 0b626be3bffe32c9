// The publisher's commands as the demo types them, and what it quotes of their answers.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorldHost } from '../world/host.ts'
import type { Outcome } from '../world/programs.ts'
import type { DemoRelease } from './releases.ts'
import { show } from './show.ts'

export interface DemoPublisher {
  publish(version: string, release: DemoRelease, holders: readonly string[]): Promise<Outcome>
  promote(version: string, channel: string): Promise<Outcome>
  /** The last lines of these hosts' agents, for an expectation that did not hold. */
  logsOf(hosts: readonly WorldHost[]): Promise<string>
}

/** Everything lies below `folder`. */
export function buildPublisher(folder: string): DemoPublisher {
  return { publish, promote, logsOf }

  function publish(version: string, release: DemoRelease, holders: readonly string[]) {
    const signers = holders.flatMap((name) => ['--signer', name])
    return show(
      folder,
      'netlink-publish',
      ['release', version, '--dir', 'pub', '--from', release.folder, ...signers, ...passphrases(holders)],
      {
        words: `netlink-publish release ${version} --from ${release.folder.slice(folder.length + 1)} ${signers.join(' ')}`,
        pick: (lines) => (lines.some((line) => line.startsWith('error')) ? errorLines(lines) : lines.slice(-2)),
      },
    )
  }

  function promote(version: string, channel: string) {
    const holders = ['alice', 'bob']
    const signers = holders.flatMap((name) => ['--signer', name])
    return show(
      folder,
      'netlink-publish',
      ['promote', version, '--to', channel, '--dir', 'pub', ...signers, ...passphrases(holders)],
      {
        words: `netlink-publish promote ${version} --to ${channel} ${signers.join(' ')}`,
        pick: () => [],
      },
    )
  }

  async function logsOf(hosts: readonly WorldHost[]): Promise<string> {
    const texts = await Promise.all(
      hosts.map((host) => readFile(join(folder, `${host.name}.log`), 'utf8').catch(() => '')),
    )
    return texts.map((text) => text.split('\n').slice(-12).join('\n')).join('\n')
  }
}

/** Where each holder's passphrase lies, as options. */
export function passphrases(holders: readonly string[]): string[] {
  return holders.flatMap((name) => ['--passphrase-file', `${name}=${name}.pass`])
}

/** The first lines of a four-part error. */
export function errorLines(lines: string[]): string[] {
  return lines
    .slice(
      Math.max(
        0,
        lines.findIndex((line) => line.startsWith('error')),
      ),
    )
    .slice(0, 4)
}
