// The process through all that its host goes through: a host may leave its server, and come to another under another name, while the daemon runs.
//
//   enrolled as h_1 -> one term (daemon.ts) -> left: its socket is closed, its looks are stopped -> waiting -> enrolled as h_2 -> the next term …
//
// A term knows one identity from its start to its end, so that nothing of one is ever said or heard under another. An update that runs when a term ends goes
// on to its own end: what is installed is not the server's affair. The files say who this host is; a nudge only makes us read them sooner.
import type { Clock } from '../../keys/platform/clock.ts'
import type { WorkerTask } from '../worker-protocol.ts'
import type { Daemon, DaemonState } from './daemon.ts'
import { type Identity, sameIdentity } from './identity.ts'
import type { WorkerRun } from './worker-process.ts'

export interface ResidentDeps {
  readonly clock: Clock
  /** undefined while the host is not enrolled. */
  readonly loadIdentity: () => Promise<Identity | undefined>
  /** Another text whenever the enrolment was written. */
  readonly stamp: () => Promise<string>
  readonly buildTerm: (identity: Identity) => Daemon
  readonly startWorker: (task: WorkerTask) => WorkerRun
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void
}

export interface Resident {
  readonly state: () => DaemonState & { readonly host_id: string | null; readonly server: string | null }
  /** Something about this host has changed: read who it is, and look. */
  look(): void
  /** A task that somebody asked for over the local interface. */
  start(task: WorkerTask): WorkerRun
  /** Runs until the signal; workers are asked to end safely and waited for. */
  run(signal: AbortSignal): Promise<void>
}

/** A nudge that did not come costs this long. */
const POLL_MS = 1_000
const IDLE: DaemonState = { connected: false, timestamp_version: 0, busy: false, next_look_ms: null }

export function buildResident(deps: ResidentDeps): Resident {
  const { clock, log } = deps
  let current: { readonly identity: Identity; readonly term: Daemon; readonly over: AbortController } | undefined
  let isNudged = false
  let wake: () => void = () => undefined
  let trouble = ''

  /** Who this host is. Where that can't be read it stays who it was, which is said once. */
  async function load(before: Identity | undefined): Promise<Identity | undefined | 'unread'> {
    try {
      const identity = await deps.loadIdentity()
      trouble = ''
      return sameIdentity(identity, before) ? before : identity
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error)
      if (words !== trouble) log('identity.failed', { error: words })
      trouble = words
      return 'unread'
    }
  }

  async function rest(): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    if (!isNudged) await clock.sleep(POLL_MS, woken.signal).catch(() => undefined)
    isNudged = false
    wake = () => undefined
  }

  /** Resolves with who the host is once that is somebody else than `before`, or with the signal. */
  async function nextIdentity(before: Identity | undefined, signal: AbortSignal): Promise<Identity | undefined> {
    for (let read = ''; !signal.aborted; await rest()) {
      const stamp = await deps.stamp()
      if (stamp === read) continue
      const identity = await load(before)
      if (identity === 'unread') continue
      if (identity !== before) return identity
      read = stamp
    }
    return before
  }

  return {
    state: () => ({
      ...(current?.term.state() ?? IDLE),
      ...namesOf(current?.identity),
    }),
    look: () => {
      isNudged = true
      wake()
      current?.term.look()
    },
    start: (task) => (current ? current.term.start(task) : deps.startWorker(task)),
    run: async (signal) => {
      const terms: Promise<void>[] = []
      signal.addEventListener('abort', () => wake(), { once: true })
      for (let identity = await nextIdentity(undefined, signal); !signal.aborted; ) {
        current?.over.abort()
        current = undefined
        log(identity ? 'identity.enrolled' : 'identity.left', namesOf(identity))
        if (identity) {
          const term = deps.buildTerm(identity)
          const over = new AbortController()
          current = { identity, term, over }
          // What an update of an earlier term came to is told in the present one.
          terms.push(term.run(signal, over.signal).then(() => current?.term.look()))
        }
        identity = await nextIdentity(identity, signal)
      }
      await Promise.all(terms)
    },
  }
}

function namesOf(identity: Identity | undefined) {
  return { host_id: identity?.enrolment.host_id ?? null, server: identity?.enrolment.server ?? null }
}
