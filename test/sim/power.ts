// The accidents of a simulated disk: every effect is counted here, and cut or refused when its number has come.

import type { Failure, SimDiskOptions } from './disk.ts'
import { apply, type Image, type Op, ROOT, reachable, savedBySync } from './image.ts'
import { refuse } from './walk.ts'

/** The power went, or had gone before: nothing was done and nothing will be. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut'
}

/** What programs see, what is safe, and what is in the first and not yet in the second. */
export interface State {
  readonly seen: Image
  readonly safe: Image
  pending: readonly Op[]
  next: number
}

export interface Power {
  /** What happened, one line an effect. */
  readonly log: string[]
  readonly isCut: boolean
  /** Resolves at the cut. */
  readonly cut: Promise<void>
  cutAt(n: number, manner?: 'throw' | 'freeze'): void
  failAt(n: number, failure: Failure): void
  /** Rejects, or never answers, once the power has gone. */
  alive(): Promise<void>
  /** One effect: counted, perhaps cut or refused, and otherwise what `ops` make of what programs see. */
  effect(words: string, path: string, needsRoom: boolean, ops: () => readonly Op[]): Promise<void>
  /** One effect that makes safe the pending operations that it covers. */
  syncEffect(words: string, path: string, covers: (op: Op) => boolean): Promise<void>
}

/** Starts counting. */
export function startPower(state: State, options: SimDiskOptions): Power {
  const log: string[] = []
  let cutAt: { n: number; manner: 'throw' | 'freeze' } | undefined
  let failAt: { n: number; failure: Failure } | undefined
  let isCut = false
  const cut = Promise.withResolvers<void>()
  const never = new Promise<never>(() => undefined)

  const dead = (): Promise<never> => {
    if (cutAt?.manner === 'freeze') return never
    throw new PowerCut(`the power went at effect ${cutAt?.n}: ${log[(cutAt?.n ?? 0) - 1]}`)
  }
  const alive = async () => {
    if (isCut) await dead()
  }

  const effect = async (words: string, path: string, needsRoom: boolean, ops: () => readonly Op[]): Promise<void> => {
    await alive()
    log.push(words)
    const isLast = log.length === cutAt?.n
    const errno = refusal(log.length, needsRoom)
    if (errno && !isLast) {
      if (errno === 'ENOSPC') for (const op of ops()) if (op.kind === 'write') perform(half(op))
      throw refuse(errno, path)
    }
    for (const op of ops()) {
      if (op.kind === 'write') refuseOverflow(op, path)
      perform(op)
    }
    if (isLast) await goDark()
  }
  const perform = (op: Op) => {
    apply(state.seen, op)
    state.pending = [...state.pending, op]
  }
  const goDark = async () => {
    isCut = true
    cut.resolve()
    await dead()
  }
  const refusal = (n: number, needsRoom: boolean): Failure['errno'] | undefined => {
    if (!failAt || n < failAt.n) return undefined
    const { errno, lasting } = failAt.failure
    if (n === failAt.n) return errno
    return lasting && (errno !== 'ENOSPC' || needsRoom) ? errno : undefined
  }
  const refuseOverflow = (op: Op & { kind: 'write' }, path: string) => {
    const left = (options.capacityBytes ?? Number.POSITIVE_INFINITY) - usedBytes(state.seen)
    if (op.bytes.length <= left) return
    perform({ ...op, bytes: op.bytes.subarray(0, Math.max(0, left)) })
    throw refuse('ENOSPC', path)
  }
  const syncEffect = async (words: string, path: string, covers: (op: Op) => boolean): Promise<void> => {
    await alive()
    log.push(words)
    // Cut in the middle: any part of it may have reached the disk, which is what "pending" means.
    if (log.length === cutAt?.n) await goDark()
    const errno = refusal(log.length, false)
    const saved = savedBySync(state.pending, covers)
    state.pending = state.pending.filter((op) => !saved.includes(op))
    // The pages are dropped and marked clean: no later sync will write them.
    if (errno) throw refuse(errno, path)
    for (const op of saved) apply(state.safe, op)
  }

  return {
    log,
    get isCut() {
      return isCut
    },
    cut: cut.promise,
    cutAt(n, manner = 'throw') {
      cutAt = { n, manner }
    },
    failAt(n, failure) {
      failAt = { n, failure }
    },
    alive,
    effect,
    syncEffect,
  }
}

/** Bytes in all files that have a name. */
export function usedBytes(image: Image): number {
  let used = 0
  for (const number of reachable(image, ROOT)) {
    const node = image.get(number)
    if (node?.kind === 'file') used += node.data.length
  }
  return used
}

function half(op: Op & { kind: 'write' }): Op {
  return { ...op, bytes: op.bytes.subarray(0, op.bytes.length >> 1) }
}
