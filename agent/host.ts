// An enrolled host, opened: who it is, what its site decided, and the doors to its server. Every command and every worker starts here.
import type { KeyObject } from 'node:crypto'
import { makeDirDurable } from '../keys/platform/durable.ts'
import { createFetcher, type Fetcher } from '../keys/platform/fetch.ts'
import { acquireLock } from '../keys/platform/lock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { UpdateConfig } from '../schema/update-yml.ts'
import { openEnrolment } from './enrolled.ts'
import { type Enrolment, parseHostKey } from './enrolment.ts'
import { type Machine, platformOf } from './machine.ts'
import { openOutbox } from './opened-outbox.ts'
import { requirePrivateState } from './private-state.ts'
import type { Outbox } from './report/outbox.ts'
import type { TrustDeps } from './trust.ts'
import { finishReset, isResetPending } from './trust-reset.ts'
import { readUpdateYml } from './update-yml.ts'

export interface Host extends Machine {
  readonly enrolment: Enrolment
  /** Signs what this host says to the server. */
  readonly key: KeyObject
  readonly config: UpdateConfig
  readonly fetcher: Fetcher
  readonly trust: TrustDeps
  readonly outbox: Outbox
  readonly platform: string
}

const LOCK_WAIT_MS = 15_000
const MAX_FILE_BYTES = 1 << 20

/** Throws Failure E-NOT-ENROLLED or, where its key or its trust is open to others, E-NOT-PERMITTED; ShapeError for a settings file that is wrong, PlatformError for what can't be read. */
export async function openHost(machine: Machine, signal?: AbortSignal): Promise<Host> {
  const { disk, files, paths, clock } = machine
  await requirePrivateState(machine)
  await finishPendingReset(machine, signal)
  const enrolment = await openEnrolment(machine)
  if (!enrolment) throw notEnrolled(machine)
  const key = parseHostKey(await readText(machine, files.key), files.key)
  const config = await loadConfig(machine)
  await makeDirDurable(disk, paths.locks, 0o700)
  const { ca, insecure_http: insecureHttp } = enrolment
  const fetcher = buildFetcher(machine, { ca: ca ?? undefined, insecureHttp })
  return {
    ...machine,
    enrolment,
    key,
    config,
    fetcher,
    trust: {
      disk,
      clock,
      fetcher,
      server: enrolment.server,
      product: enrolment.product,
      folder: paths.trust,
      lock: () => waitForLock(machine, `${paths.locks}/trust`, signal),
      signal,
    },
    outbox: openOutbox(machine, enrolment, key),
    platform: platformOf(machine.facts),
  }
}

/** A reset of trust that a power cut or a kill stopped half-way: nothing is believed before it has come to its end. */
async function finishPendingReset(machine: Machine, signal?: AbortSignal): Promise<void> {
  if (!(await isResetPending(machine))) return
  const lock = await waitForLock(machine, `${machine.paths.locks}/trust`, signal)
  try {
    await finishReset(machine)
  } finally {
    await lock.release()
  }
}

function waitForLock({ owner, clock }: Machine, path: string, signal?: AbortSignal) {
  return acquireLock(path, { owner, clock, waitMs: LOCK_WAIT_MS, ...(signal ? { signal } : {}) })
}

function notEnrolled({ paths }: Machine): Failure {
  return new Failure({
    code: 'E-NOT-ENROLLED',
    exit: EXIT.usage,
    title: 'this host is not enrolled',
    detail: `There is no ${paths.state}/agent.json: no server, no trusted root, no key.`,
    state: 'Nothing was changed.',
    next: ['netlink agent enroll --server URL --token-file FILE --trust-root FILE'],
  })
}

/** What the site decided in update.yml, all defaults where there is no file. Throws ShapeError. */
export async function loadConfig(machine: Pick<Machine, 'disk' | 'environment' | 'paths'>): Promise<UpdateConfig> {
  return readUpdateYml(await loadConfigText(machine), configFileOf(machine))
}

/** The text of update.yml, empty where there is no file. */
export async function loadConfigText(machine: Pick<Machine, 'disk' | 'environment' | 'paths'>): Promise<string> {
  try {
    return await readText(machine, configFileOf(machine))
  } catch (error) {
    const isDefault = machine.environment.configFile === undefined
    if (isDefault && error instanceof PlatformError && error.code === 'not-found') return ''
    throw error
  }
}

/** NETLINK_CONFIG, or `<root>/config/update.yml`. */
export function configFileOf({ environment, paths }: Pick<Machine, 'environment' | 'paths'>): string {
  return environment.configFile ?? paths.updateYml
}

/** HTTP as this agent speaks it. */
export function buildFetcher(
  machine: Machine,
  options: { readonly ca: string | undefined; readonly insecureHttp: boolean },
): Fetcher {
  return createFetcher({
    userAgent: `netlink/${machine.facts.agentVersion}`,
    clock: machine.clock,
    ...(options.ca ? { ca: options.ca } : {}),
    insecureHttp: options.insecureHttp,
    proxy: machine.environment.proxy,
  })
}

async function readText({ disk }: Pick<Machine, 'disk'>, file: string): Promise<string> {
  return Buffer.from(await disk.readFile(file, MAX_FILE_BYTES)).toString('utf8')
}
