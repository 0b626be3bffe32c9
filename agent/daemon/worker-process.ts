// A worker as the daemon sees it: a child process whose lines are read as they come.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WorkerFailure, WorkerLine, WorkerTask } from '../worker-protocol.ts'

export interface WorkerRun {
  /** The update id, as soon as there is a plan; undefined if the worker ended without one. */
  readonly planned: Promise<string | undefined>
  readonly end: Promise<WorkerEnd>
  /** Asks it to end safely. */
  stop(): void
}

export type WorkerEnd =
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly failure: WorkerFailure }

export interface WorkerStart {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly onLine?: (line: WorkerLine) => void
  /** In a session of its own, so that it goes on without us. */
  readonly detached?: boolean
}

/** Starts a worker. Its own words of trouble go to our standard error. */
export function startWorker(task: WorkerTask, { env, onLine, detached = false }: WorkerStart): WorkerRun {
  const entry = fileURLToPath(new URL(`../worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, JSON.stringify(task)], {
    env: { ...env },
    stdio: ['ignore', 'pipe', detached ? 'ignore' : 'inherit'],
    detached,
  })
  const planned = Promise.withResolvers<string | undefined>()
  const end = Promise.withResolvers<WorkerEnd>()
  let last: WorkerEnd | undefined
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = parseLine(text)
    if (line?.type === 'planned') planned.resolve(line.update_id)
    else if (line?.type === 'done') last = { kind: 'done', result: line.result }
    else if (line?.type === 'failed') last = { kind: 'failed', failure: line.failure }
    if (line) onLine?.(line)
  })
  const finish = (words: string) => {
    planned.resolve(undefined)
    end.resolve(last ?? { kind: 'failed', failure: died(words) })
  }
  child.once('error', (error) => finish(error.message))
  child.once('close', (code, signal) => finish(signal ? `killed by ${signal}` : `exit ${code}`))
  if (detached) letGo(child)
  return { planned: planned.promise, end: end.promise, stop: () => child.kill('SIGTERM') }
}

/** It comes from our own package; a line that is none is some library's chatter. */
function parseLine(text: string): WorkerLine | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Our own end does not wait for it. */
function letGo(child: ChildProcess): void {
  child.unref()
  if (child.stdout && 'unref' in child.stdout && typeof child.stdout.unref === 'function') child.stdout.unref()
}

function died(words: string): WorkerFailure {
  return {
    code: 'E-WORKER',
    exit: 1,
    title: 'the worker ended without an answer',
    detail: words,
    state: 'An update that it was at is recovered with the next look.',
    next: ['netlink update status'],
  }
}
