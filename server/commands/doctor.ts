// `netlink-server doctor`: looks at everything a server needs and says what is wrong, on a running server and on one that is not.
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT } from '../../schema/cli/exit-code.ts'
import { formatBytes } from '../../schema/cli/format.ts'
import { createPaint } from '../../schema/cli/paint.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { decideAlarms, expiryWords } from '../../schema/expiry.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { loadConfig, type ServerConfig } from '../config.ts'
import type { OnlineSigners } from '../core/online-roles.ts'
import { openSigners } from '../open-signers.ts'
import { type Answer, type Machine, namedDir, type SharedOptions } from './context.ts'
import { failureFactsOf } from './failure-facts.ts'
import { askLocal, type LocalStatus } from './local.ts'

export interface Finding {
  readonly check: string
  readonly state: 'ok' | 'warning' | 'error'
  readonly detail: string
  /** What to run. */
  readonly next?: string
}

const LOW_DISK_BYTES = 1 << 30

export async function doctor(machine: Machine, options: SharedOptions): Promise<Answer> {
  const findings: Finding[] = []
  const config = await found(machine, options, findings, 'configuration', () =>
    loadConfig(machine.disk, options.dir, { environment: machine.environment }),
  )
  if (config) {
    findings.push({ check: 'configuration', state: 'ok', detail: config.paths.config })
    findings.push(...(await checkPermissions(machine, config)))
    const signers = await found(machine, options, findings, 'online keys', () => openSigners(config, machine.disk))
    if (signers) findings.push(checkKeys(signers, shellWord(config.paths.folder)))
    findings.push(await checkDisk(machine, config))
    const status = await found(machine, options, findings, 'database', () =>
      askLocal(machine, options.dir, 'status', {}, 'netlink-server doctor'),
    )
    if (status) findings.push(...checkStatus(status.result, status.serving, config, machine.clock.now()))
  }
  const failed = findings.some(({ state }) => state === 'error')
  return {
    schema: 'netlink.server.doctor/v1',
    fields: { healthy: !failed, checks: findings },
    text: render(machine, findings),
    exit: failed ? EXIT.refused : EXIT.ok,
  }
}

async function found<T>(
  machine: Machine,
  options: SharedOptions,
  findings: Finding[],
  check: string,
  look: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    const { title, detail, next } = failureFactsOf(error, namedDir(machine, options.dir))
    const [first] = next
    findings.push({
      check,
      state: 'error',
      detail: detail === '' ? title : `${title}: ${detail}`,
      ...(first === undefined || first.startsWith('netlink-server doctor') ? {} : { next: first }),
    })
    return undefined
  }
}

function checkKeys(signers: OnlineSigners, folder: string): Finding {
  const check = 'online keys'
  if (signers.snapshot.length === 0 || signers.timestamp.length === 0)
    return { check, state: 'error', detail: 'a key for snapshot or timestamp is missing' }
  if ((signers.director ?? []).length === 0)
    return {
      check,
      state: 'warning',
      detail: 'snapshot and timestamp; without a director key no host can be assigned anything',
      next: `netlink-server keys rotate director --dir ${folder}`,
    }
  return { check, state: 'ok', detail: 'snapshot, timestamp and director' }
}

async function checkPermissions(machine: Machine, { paths, database, storage }: ServerConfig): Promise<Finding[]> {
  const files = [
    paths.onlineKeys,
    paths.adminToken,
    paths.publishToken,
    ...(database.kind === 'server' ? [database.urlFile] : []),
    ...(storage.kind === 's3' ? [storage.credentialsFile] : []),
  ]
  const findings: Finding[] = []
  for (const path of [paths.folder, paths.secrets, ...files]) {
    try {
      const facts = await machine.disk.lstat(path)
      if ((facts.mode & 0o077) === 0 && (facts.uid === machine.user.uid || machine.user.uid === 0)) continue
      const owner = facts.uid !== machine.user.uid && machine.user.uid !== 0
      const detail = owner
        ? `${path} belongs to another user (${facts.uid})`
        : `${path} is open to others (mode ${facts.mode.toString(8)})`
      findings.push({
        check: 'permissions',
        state: 'error',
        detail,
        next: owner ? `chown ${machine.user.name} ${path}` : `chmod go= ${path}`,
      })
    } catch (error) {
      if (!(error instanceof PlatformError)) throw error
      // A token's file may be put away once it was used; everything else has to be there.
      const isToken = path === paths.adminToken || path === paths.publishToken
      if (isToken && error.code === 'not-found') continue
      findings.push({ check: 'permissions', state: 'error', detail: error.message })
    }
  }
  return findings.length > 0
    ? findings
    : [{ check: 'permissions', state: 'ok', detail: 'folder and secrets are closed to others' }]
}

async function checkDisk(machine: Machine, config: ServerConfig): Promise<Finding> {
  const free = await machine.disk.freeBytes(config.paths.folder)
  const low = free < LOW_DISK_BYTES
  return {
    check: 'disk',
    state: low ? 'warning' : 'ok',
    detail: `${formatBytes(free)} free for ${config.paths.folder}`,
  }
}

const WELL = { database: 'answers', storage: 'answers', seal: 'what is accepted is published' } as const

function checkStatus(status: LocalStatus, serving: boolean, config: ServerConfig, now: Date): Finding[] {
  const findings: Finding[] = [
    { check: 'serve', state: 'ok', detail: serving ? 'runs on this folder' : 'does not run on this folder' },
  ]
  for (const { name, ok, detail } of status.readiness.checks) {
    if (name === 'seal' && !serving) continue
    findings.push({
      check: name,
      state: ok ? 'ok' : 'error',
      detail: detail ?? WELL[name],
    })
  }
  if (config.database.kind === 'embedded') {
    findings.push({
      check: 'power cut',
      state: 'warning',
      detail:
        'the embedded database survives kill -9 but not a power cut: it never syncs. Production takes a PostgreSQL server (init --db-file FILE)',
    })
  }
  const { applied, pending } = status.migrations
  findings.push({
    check: 'migrations',
    state: pending.length > 0 ? 'error' : 'ok',
    detail: pending.length > 0 ? `pending: ${pending.join(', ')}` : `${applied.length} ran, none pending`,
    ...(pending.length > 0 ? { next: `netlink-server migrate up --dir ${shellWord(config.paths.folder)}` } : {}),
  })
  const folder = shellWord(config.paths.folder)
  findings.push(...checkRepository(status, serving, now, folder), ...checkTimestamp(status, serving, folder))
  findings.push(...checkFiles(status, serving, folder))
  return findings
}

function checkRepository({ published, expiries }: LocalStatus, serving: boolean, now: Date, folder: string): Finding[] {
  if (published.product === null)
    return [{ check: 'repository', state: 'warning', detail: 'nothing is published yet', next: 'netlink-publish init' }]
  const findings: Finding[] = [
    {
      check: 'repository',
      state: 'ok',
      detail: `product ${published.product}, root ${published.rootVersion}, timestamp ${published.timestampVersion}`,
    },
  ]
  for (const { role, expires, expiry } of decideAlarms(expiries, now)) {
    const online = role === 'timestamp' || role === 'snapshot'
    const words = `${expiryWords(role, new Date(expires), now)}, at ${expires}`
    findings.push({
      check: 'expiry',
      state: expiry.kind === 'expired' && (!online || serving) ? 'error' : 'warning',
      detail: online ? words : `${words}: whoever holds its keys signs it anew`,
      next: online ? `netlink-server serve --dir ${folder}` : 'netlink-publish expire refresh',
    })
  }
  return findings
}

/** What hosts read first, as it lies in storage. `serve` makes it right at start and every minute. */
function checkTimestamp({ timestamp }: LocalStatus, serving: boolean, folder: string): Finding[] {
  const next = serving ? `netlink-server doctor --dir ${folder}` : `netlink-server serve --dir ${folder}`
  const wrong = (detail: string, state: Finding['state'] = 'error') => [{ check: 'timestamp', state, detail, next }]
  const repaired = serving ? 'serve publishes it anew within a minute' : 'serve publishes it anew at start'
  switch (timestamp.kind) {
    case 'none':
      return []
    case 'current':
      return [{ check: 'timestamp', state: 'ok', detail: `number ${timestamp.version} is published and verifies` }]
    case 'newer':
      return wrong(
        `number ${timestamp.version} is published, the database knows ${timestamp.expected}: it is older than the files; serve takes them in at start`,
        'warning',
      )
    case 'out-of-reach':
      return wrong(
        `number ${timestamp.timestamp} (snapshot ${timestamp.snapshot}) is published, and ${timestamp.expected} was the last of this server: somebody else signed it with its key; ${repaired}, and hosts that have seen it wait for a root that names another key (docs/runbooks/timestamp-key.md)`,
      )
    case 'older':
      return wrong(
        `number ${timestamp.version} lies in the storage, ${timestamp.expected} was published: somebody put an older file back, and hosts refuse it; ${repaired}`,
      )
    case 'missing':
      return wrong(`number ${timestamp.expected} was published and is not in the storage; ${repaired}`)
    case 'unverified':
      return wrong(
        `what lies in the storage instead of number ${timestamp.expected} does not verify, and hosts refuse it: ${timestamp.detail}; ${repaired}`,
      )
    case 'unreadable':
      return wrong(`the storage could not be read: ${timestamp.detail}`)
    default:
      return unreachable(timestamp)
  }
}

function render(machine: Machine, findings: readonly Finding[]): string {
  const paint = createPaint(machine.color)
  const meaning = { ok: 'good', warning: 'warning', error: 'error' } as const
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ check, state, detail, next }) => {
      const line = `${paint(meaning[state], state.padEnd(7))}  ${check.padEnd(width)}  ${plainLine(detail)}\n`
      return next === undefined ? line : `${line}${' '.repeat(11 + width)}Next: ${next}\n`
    })
    .join('')
}

/** The rest of what is published. Metadata is in the database too, and put back; artifacts only their publisher has. */
function checkFiles({ damaged, published }: LocalStatus, serving: boolean, folder: string): Finding[] {
  if (published.timestampVersion === 0) return []
  if (damaged.length === 0) return [{ check: 'files', state: 'ok', detail: 'every published file is there and whole' }]
  const isArtifact = (key: string) => key.startsWith('repo/artifacts/')
  const finding = (keys: readonly string[], what: string, next: string): Finding[] =>
    keys.length === 0
      ? []
      : [
          {
            check: 'files',
            state: 'error',
            detail: `${shown(keys)}: missing or damaged, hosts refuse it; ${what}`,
            next,
          },
        ]
  const again = serving ? 'serve puts it back within a quarter of an hour' : 'serve puts it back at start'
  return [
    ...finding(
      damaged.filter((key) => !isArtifact(key)),
      again,
      serving ? `netlink-server doctor --dir ${folder}` : `netlink-server serve --dir ${folder}`,
    ),
    ...finding(damaged.filter(isArtifact), 'whoever published it sends it again', 'netlink-publish publish VERSION'),
  ]
}

function shown(keys: readonly string[]): string {
  const more = keys.length > 3 ? ` and ${keys.length - 3} more` : ''
  return `${keys.slice(0, 3).join(', ')}${more}`
}
