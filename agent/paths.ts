import { join, resolve } from 'node:path'

/**
 * Where everything of one host lies. Absolute paths.
 *
 * ```
 * <root>/store/<version>-<digest12>/       immutable release tree
 * <root>/generations/<n>/                  app -> ../../store/…, config/, env, generation.json, manifest.json
 * <root>/current -> generations/<n>        the commit point
 * <root>/staging/<update-id>/              garbage unless the journal says otherwise
 * <root>/config/{update.yml,app.env}       the site's
 * <root>/data/                             the application's
 * <root>/version.json  logs/  backups/updates/
 * <state>/updates/<update-id>/{plan.json,journal.jsonl}
 * ```
 */
export interface Paths {
  readonly root: string
  readonly state: string

  readonly store: string
  readonly generations: string
  readonly current: string
  readonly staging: string
  readonly config: string
  readonly updateYml: string
  readonly appEnv: string
  readonly data: string
  readonly versionJson: string
  readonly logs: string
  readonly updateLog: string
  readonly appLog: string
  readonly backups: string

  /** One folder for each update that ever got a plan. */
  readonly updates: string
  /** Partly and wholly downloaded artifacts, by sha256. */
  readonly downloads: string
  /** Trusted metadata of the repository. */
  readonly trust: string
  /** Kernel-released locks (keys/platform/lock.ts). */
  readonly locks: string
  readonly updateLock: string
  /** Versions that failed here, and why: `agent/engine/quarantine.ts`. */
  readonly quarantine: string
  /** The greatest version that was ever committed here: `agent/version-record.ts`. */
  readonly floor: string
  /** Holds the update id while a journal is open: the supervisor starts nothing by itself while this is there. */
  readonly undecided: string
  /** The supervisor's record of the service process; its socket lies in a private folder of its own. */
  readonly service: string
}

/** What decides where a host lives. */
export interface PathSettings {
  /** `NETLINK_HOME`: everything below this one folder. Relative to `cwd`. */
  readonly home?: string | undefined
  /** Places of the installed unit, where they differ from `/opt/netlink` and `/var/lib/netlink`. Ignored with `home`. */
  readonly root?: string | undefined
  readonly state?: string | undefined
  readonly cwd?: string | undefined
}

/** The layout for these settings. Touches nothing. */
export function buildPaths(settings: PathSettings = {}): Paths {
  const cwd = settings.cwd ?? '/'
  if (settings.home) {
    const root = resolve(cwd, settings.home)
    return layOut(root, join(root, 'state'))
  }
  return layOut(resolve(cwd, settings.root ?? '/opt/netlink'), resolve(cwd, settings.state ?? '/var/lib/netlink'))
}

function layOut(root: string, state: string): Paths {
  return {
    root,
    state,
    store: join(root, 'store'),
    generations: join(root, 'generations'),
    current: join(root, 'current'),
    staging: join(root, 'staging'),
    config: join(root, 'config'),
    updateYml: join(root, 'config', 'update.yml'),
    appEnv: join(root, 'config', 'app.env'),
    data: join(root, 'data'),
    versionJson: join(root, 'version.json'),
    logs: join(root, 'logs'),
    updateLog: join(root, 'logs', 'update.log'),
    appLog: join(root, 'logs', 'app.log'),
    backups: join(root, 'backups', 'updates'),
    updates: join(state, 'updates'),
    downloads: join(state, 'downloads'),
    trust: join(state, 'trust'),
    locks: join(state, 'locks'),
    updateLock: join(state, 'locks', 'update'),
    quarantine: join(state, 'quarantine.json'),
    floor: join(state, 'floor.json'),
    undecided: join(state, 'undecided'),
    service: join(state, 'service'),
  }
}

/** `generations/<n>`, absolute. */
export function generationDir(paths: Paths, generation: number): string {
  return join(paths.generations, String(generation))
}

/** What `current` points to for this generation: relative, so that the whole folder may be mounted elsewhere. */
export function currentTarget(generation: number): string {
  return `generations/${generation}`
}

/** The folder name of a release tree in the store: version and the first 12 digits of its tree digest. */
export function storeName(version: string, treeSha256: string): string {
  return `${version}-${treeSha256.slice(0, 12)}`
}

/** Folder, plan and journal of one update. */
export function updateFiles(
  paths: Paths,
  updateId: string,
): { dir: string; plan: string; journal: string; staging: string } {
  const dir = join(paths.updates, updateId)
  return {
    dir,
    plan: join(dir, 'plan.json'),
    journal: join(dir, 'journal.jsonl'),
    staging: join(paths.staging, updateId),
  }
}
