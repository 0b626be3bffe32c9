// `<state>/assignment.json`: what this host was directed to last, the greatest number it has seen, and the authorisations it has used. Read with care: what
// is lost here could be replayed, so a file that is damaged stops assignments until somebody has looked.
import { createHash } from 'node:crypto'
import { acquireLock } from '../keys/platform/lock.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { Machine } from './machine.ts'
import { countIn, optionalTextIn, recordOf, textIn } from './record.ts'
import { loadState, saveState } from './state-file.ts'

export interface AssignmentState {
  /**
   * The greatest number seen, and the keys that signed it. It falls when targets leaves too few of them to sign: a thief of the others may have used up all
   * numbers. Where an old and a new key signed side by side, the new one keeps it.
   */
  readonly floor: { readonly sequence: number; readonly keyids: readonly string[] } | null
  /** The assignment that was accepted last, as it was signed. It is verified again whenever it is used. */
  readonly document: string | null
  /** Nonces of authorisations that were used here. They are never forgotten. */
  readonly used: readonly string[]
  /** SHA-256 of what the socket said last, once it was dealt with: it is not looked at again. */
  readonly heard: string | null
  /** The document that was refused last, until a good one comes. */
  readonly refused: RefusedAssignment | null
}

export interface RefusedAssignment {
  /** Of the document. */
  readonly sha256: string
  readonly code: string
  readonly message: string
}

type Place = Pick<Machine, 'disk' | 'files' | 'paths' | 'clock' | 'owner'>

export const noAssignment: AssignmentState = { floor: null, document: null, used: [], heard: null, refused: null }
const LOCK_WAIT_MS = 15_000

/** Empty where there is no file. Throws TrustError `malformed` where it can't be read: numbers that are lost are not numbers of zero. */
export async function loadAssignmentState({ disk, files }: Pick<Place, 'disk' | 'files'>): Promise<AssignmentState> {
  try {
    const value = await loadState(disk, files.assignment)
    return value === undefined ? noAssignment : readState(value, files.assignment)
  } catch (cause) {
    if (!(cause instanceof Error && ['ShapeError', 'SyntaxError'].includes(cause.name))) throw cause
    const message = `assignment: ${files.assignment} can't be read, and without it an old one could be passed off as new`
    throw new TrustError('malformed', message, { path: files.assignment }, { cause })
  }
}

function readState(value: unknown, file: string): AssignmentState {
  const record = recordOf(value, file)
  const { floor, used, refused, document } = record.fields
  return {
    floor: floor === null ? null : readFloor(floor, file),
    document: document === null || typeof document === 'string' ? document : record.wrong('document', 'expected text'),
    used: textsOf(used) ?? record.wrong('used', 'expected a list of nonces'),
    heard: optionalTextIn(record, 'heard'),
    refused: refused === null ? null : readRefused(refused, file),
  }
}

function readFloor(value: unknown, file: string): AssignmentState['floor'] {
  const record = recordOf(value, file)
  const keyids = textsOf(record.fields.keyids) ?? record.wrong('keyids', 'expected a list of key ids')
  return { sequence: countIn(record, 'sequence'), keyids }
}

function readRefused(value: unknown, file: string): RefusedAssignment {
  const record = recordOf(value, file)
  return {
    sha256: textIn(record, 'sha256'),
    code: textIn(record, 'code'),
    message: optionalTextIn(record, 'message') ?? '',
  }
}

function textsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined
}

/** Reads, changes and replaces the state under its lock, durably. The state as it is then. */
export async function changeAssignmentState(
  place: Place,
  step: (state: AssignmentState) => AssignmentState,
): Promise<AssignmentState> {
  const { owner, clock, paths, disk, files } = place
  const lock = await acquireLock(`${paths.locks}/assignment`, { owner, clock, waitMs: LOCK_WAIT_MS })
  try {
    const before = await loadAssignmentState(place)
    const after = step(before)
    if (after !== before) await saveState(disk, files.assignment, { schema: 'netlink.assignment-state/v1', ...after })
    return after
  } finally {
    await lock.release()
  }
}

/** Uses up an authorisation, durably, before anything is done by it that can't be taken back. Throws TrustError `rollback` if it was used before. */
export async function useNonce(place: Place, nonce: string): Promise<void> {
  await changeAssignmentState(place, (state) => {
    if (state.used.includes(nonce)) throw usedBefore(nonce)
    return { ...state, used: [...state.used, nonce] }
  })
}

export function usedBefore(nonce: string): TrustError {
  const message = `rollback: the downgrade authorisation ${nonce} was used on this host already`
  return new TrustError('rollback', message, { actual: nonce })
}

/** What tells one document from another. */
export function documentHash(document: string): string {
  return createHash('sha256').update(document).digest('hex')
}
