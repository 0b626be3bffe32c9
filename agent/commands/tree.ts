// Every command of `netlink`, as data: its words, options, examples, and the file that does it, which is loaded only when it is asked for.
import type { Command } from './context.ts'

export interface Leaf {
  readonly name: string
  readonly summary: string
  /** As commander writes them: `[update-id]`. */
  readonly args?: readonly (readonly [name: string, description: string])[]
  readonly options?: readonly (readonly [flags: string, description: string])[]
  readonly examples: readonly string[]
  /** Runs for long: with --json it prints events. */
  readonly load: () => Promise<{ readonly run: Command<never> }>
}

export interface Group {
  readonly name: string
  readonly summary: string
  readonly children: readonly Leaf[]
}

const to = ['--to <version>', 'the version, as in 0b1'] as const
const from = ['--from <file>', 'out of a bundle, without a network'] as const
const dryRun = ['--dry-run', 'show what would be done and do nothing'] as const
const yes = ['--yes', 'do not ask'] as const
const force = ['--force', 'skip warnings; implies --yes, never skips a check'] as const
const timeout = ['--timeout <duration>', 'longest time for all of it: 90s, 10m'] as const
const updateId = ['[update-id]', 'the update; the newest unless said'] as const

const update: Group = {
  name: 'update',
  summary: 'look for releases, install them, go back',
  children: [
    {
      name: 'check',
      summary: 'what is there for this host',
      options: [
        ['--exit-code', 'end with 100 if an update is available'],
        ['--channel <channel>', 'look at another channel: alpha, beta or release'],
        ['--offline', 'only from what was verified before'],
        from,
      ],
      examples: ['netlink update check', 'netlink update check --exit-code --json'],
      load: () => import('./check.ts'),
    },
    {
      name: 'version',
      summary: 'what runs here',
      options: [['--detailed', 'since when, which channel, which keys']],
      examples: ['netlink update version', 'netlink update version --detailed'],
      load: () => import('./version.ts'),
    },
    {
      name: 'status',
      summary: 'what this host is doing, and why it does not update',
      options: [
        ['--watch', 'go on until no update runs'],
        ['--explain', 'say why nothing is installed by itself'],
        ['--update-id <id>', 'one update'],
        ['--logs', 'with the last lines of its log'],
        ['--exit-code', 'end with 8 while an update runs, 10 or 11 if the last one failed'],
      ],
      examples: ['netlink update status', 'netlink update status --watch'],
      load: () => import('./status.ts'),
    },
    {
      name: 'upgrade',
      summary: 'install a newer version',
      options: [
        ['--latest', 'the newest that this host’s channel offers'],
        ['--stable', 'the newest release'],
        to,
        from,
        dryRun,
        force,
        yes,
        ['--no-wait', 'go on in the background'],
        timeout,
        ['--skip-backup', 'without a backup; needs --force'],
        ['--allow-channel-change', 'also a version of a less stable channel'],
      ],
      examples: [
        'netlink update upgrade --latest',
        'netlink update upgrade --to 0b1 --dry-run',
        'netlink update upgrade --stable --yes',
        'netlink update upgrade --from demo-0r2.bundle',
      ],
      load: () => import('./upgrade.ts'),
    },
    {
      name: 'downgrade',
      summary: 'install an older version that the installed release allows',
      options: [to, dryRun, force, yes, timeout, ['--accept-data-loss', 'also where newer data can’t be kept']],
      examples: ['netlink update downgrade --to 0a1 --dry-run', 'netlink update downgrade --to 0a1'],
      load: () => import('./downgrade.ts'),
    },
    {
      name: 'changelog',
      summary: 'what changed, from signed manifests only',
      options: [
        ['--version <version>', 'of one version; the installed one unless said'],
        ['--since <version>', 'everything after this version'],
        ['--until <version>', 'up to this version; the newest unless said'],
        ['--format <format>', 'text, markdown or json'],
        ['--verify', 'ask the server; fail rather than show what was kept'],
      ],
      examples: ['netlink update changelog', 'netlink update changelog --since 0a1 --format markdown'],
      load: () => import('./changelog.ts'),
    },
    {
      name: 'reinstall-deps',
      summary: 'install the dependencies of the running version again',
      options: [dryRun, ['--manager <manager>', 'only this package manager: npm, apt'], yes],
      examples: ['netlink update reinstall-deps --dry-run'],
      load: () => import('./reinstall-deps.ts'),
    },
    {
      name: 'upgrade-db',
      summary: 'bring the database schema up to a version',
      options: [to, dryRun, yes, ['--status', 'only say where the database stands']],
      examples: ['netlink update upgrade-db --dry-run', 'netlink update upgrade-db --to 0b1'],
      load: () => import('./upgrade-db.ts'),
    },
    {
      name: 'history',
      summary: 'what was installed here, and how it went',
      options: [
        ['--limit <number>', 'at most so many, newest first (20)'],
        ['--since <date>', 'only from this day on: 2026-11-01'],
        ['--failed', 'only what failed'],
      ],
      examples: ['netlink update history', 'netlink update history --limit 20 --failed'],
      load: () => import('./history.ts'),
    },
    {
      name: 'rollback',
      summary: 'return to what the last update left',
      options: [
        ['--update-id <id>', 'to what this update left'],
        dryRun,
        ['--only <part>', 'code, config, db or deps'],
        yes,
        force,
      ],
      examples: ['netlink update rollback', 'netlink update rollback --update-id update_0a1_0b1_20241219_120000'],
      load: () => import('./rollback.ts'),
    },
    {
      name: 'hold',
      summary: 'keep this host as it is',
      options: [
        ['--for <duration>', 'for so long: 24h, 7d'],
        ['--until <time>', 'until then: 2026-12-01 or 2026-12-01T06:00:00Z'],
        ['--forever', 'until it is lifted'],
        ['--reason <reason>', 'why, for whoever asks'],
      ],
      examples: ['netlink update hold --for 24h --reason "launch day"'],
      load: () => import('./hold.ts'),
    },
    {
      name: 'unhold',
      summary: 'lift the hold',
      examples: ['netlink update unhold'],
      load: () => import('./unhold.ts'),
    },
    {
      name: 'log',
      summary: 'the log of updates, or of one',
      args: [updateId],
      options: [
        ['-f, --follow', 'go on with what is added'],
        ['-n, --lines <number>', 'at most so many lines (200)'],
      ],
      examples: ['netlink update log', 'netlink update log -f'],
      load: () => import('./log.ts'),
    },
    {
      name: 'abort',
      summary: 'stop the running update; before the switch it is thrown away, after it goes back',
      args: [updateId],
      examples: ['netlink update abort'],
      load: () => import('./abort.ts'),
    },
    {
      name: 'verify',
      summary: 'check the metadata from the pinned root on, and the installed files',
      options: [['--deep', 'every file of the installed tree against its signed digest']],
      examples: ['netlink update verify --deep'],
      load: () => import('./verify.ts'),
    },
  ],
}

const agent: Group = {
  name: 'agent',
  summary: 'this host’s agent: enrol it, run it, look after it',
  children: [
    {
      name: 'enroll',
      summary: 'pin the root, make a key, show the token',
      options: [
        ['--server <url>', 'the update server'],
        ['--token-file <file>', 'the enrolment token'],
        ['--trust-root <file|fingerprint>', 'the root that this host is going to trust'],
        ['--channel <channel>', 'alpha, beta or release (release)'],
        ['--minimum-role <file>', 'the channel’s signed role: no repository that is older is taken'],
        ['--group <group>', 'the group in the fleet'],
        ['--label <key=value...>', 'for filters; may be repeated'],
        ['--name <name>', 'the host’s name unless it is its host name'],
        ['--ca <file>', 'the server’s own certificate authority (PEM)'],
        ['--insecure-http', 'plain http to another machine'],
        ['--service-control <how>', 'who runs the service: exec, systemd or none (exec)'],
        ['--service-unit <unit>', 'the unit, with systemd'],
        ['--force', 'although this host is enrolled already'],
      ],
      examples: [
        'netlink agent enroll --server https://updates.example --token-file enroll.token --trust-root root.json',
      ],
      load: () => import('./enroll.ts'),
    },
    {
      name: 'run',
      summary: 'the daemon: socket, reports, automatic updates',
      examples: ['netlink agent run'],
      load: () => import('./agent-run.ts'),
    },
    {
      name: 'status',
      summary: 'who this host is and whether its daemon runs',
      examples: ['netlink agent status'],
      load: () => import('./agent-status.ts'),
    },
    {
      name: 'leave',
      summary: 'forget the server; what is installed stays',
      options: [yes],
      examples: ['netlink agent leave --yes'],
      load: () => import('./leave.ts'),
    },
    {
      name: 'set-channel',
      summary: 'follow another channel',
      args: [['<channel>', 'alpha, beta or release']],
      options: [['--allow-channel-change', 'also a less stable one']],
      examples: ['netlink agent set-channel beta'],
      load: () => import('./set-channel.ts'),
    },
    {
      name: 'trust',
      summary: 'show the root that everything here is verified from, or put another in its place',
      args: [['[verb]', 'show or reset']],
      options: [
        ['--root <file>', 'the new root.json, carried here by hand'],
        ['--expect-sha256 <hash>', 'its fingerprint, told by another way than the file'],
        yes,
        ['--offline', 'without asking the server whether its repository verifies under the new root'],
        ['--other-product <name>', 'the new root may be of this product instead of the one that is followed now'],
      ],
      examples: ['netlink agent trust show', 'netlink agent trust reset --root root.json --expect-sha256 HASH --yes'],
      load: () => import('./trust.ts'),
    },
    {
      name: 'config',
      summary: 'show, set or validate config/update.yml',
      args: [
        ['[verb]', 'show, set or validate'],
        ['[name]', 'the setting: automatic.mode'],
        ['[value]', 'its value'],
      ],
      examples: [
        'netlink agent config show',
        'netlink agent config set automatic.mode auto',
        'netlink agent config validate',
      ],
      load: () => import('./agent-config.ts'),
    },
  ],
}

const serviceVerb = (name: string, summary: string): Leaf => ({
  name,
  summary,
  examples: [`netlink service ${name}`],
  load: async () => {
    const { buildServiceCommand } = await import('./service.ts')
    return { run: buildServiceCommand(name) }
  },
})

const service: Group = {
  name: 'service',
  summary: 'the service that the installed release runs as',
  children: [
    serviceVerb('start', 'start it'),
    serviceVerb('stop', 'stop it'),
    serviceVerb('restart', 'stop and start it'),
    serviceVerb('status', 'whether it runs and answers'),
  ],
}

/** Named by the interface and not there yet: known, so that nobody takes them for a typing mistake. */
const later = (group: string, name: string): Leaf => ({
  name,
  summary: 'not in this version',
  examples: [],
  load: async () => {
    const { buildLaterCommand } = await import('./later.ts')
    return { run: buildLaterCommand(`netlink ${group} ${name}`.trim()) }
  },
})

const laterGroup = (name: string, summary: string, children: readonly string[]): Group => ({
  name,
  summary: `${summary} (not in this version)`,
  children: children.map((child) => later(name, child)),
})

export const groups: readonly Group[] = [
  update,
  agent,
  service,
  laterGroup('backup', 'backups', ['create', 'list', 'show', 'verify', 'restore', 'prune', 'key']),
  laterGroup('migrate', 'come from the old versions', ['legacy']),
  laterGroup('maintenance', 'maintenance mode', ['enter', 'exit', 'status']),
  laterGroup('cluster', 'clusters', ['status', 'drain', 'undrain']),
]

/** Commands without a group. */
export const leaves: readonly Leaf[] = [
  {
    name: 'help',
    summary: 'about a command or an error code',
    args: [['[topic]', 'a command, or a code such as E-SIG-THRESHOLD']],
    examples: ['netlink help E-SIG-THRESHOLD'],
    load: () => import('./help.ts'),
  },
  later('', 'doctor'),
  later('', 'bug-report'),
  later('', 'completion'),
]
