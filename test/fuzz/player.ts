// The fuzzer as a process of its own, so that a parser that never comes back, or eats all memory, can be told from one that works. Every input lies in a
// file before it is read.
import { openSync, writeSync } from 'node:fs'
import { controlTargets } from './control-targets.ts'
import { loadCorpus } from './corpus.ts'
import { type Finding, openPlay, type Play, playOnce } from './fuzzing.ts'
import { seededRandom } from './random.ts'
import type { Target } from './target.ts'

/** What the process is told, as JSON in its one argument. */
export interface Orders {
  readonly seed: number
  /** For each target: this many mutants, or as many as fit into its share of the time. */
  readonly until:
    | { readonly kind: 'executions'; readonly count: number }
    | { readonly kind: 'seconds'; readonly seconds: number }
  /** Only these targets; empty: all but those that break the rule on purpose. */
  readonly only: readonly string[]
  /** Where the present input lies: number of inputs so far, its length and its target's number (4 bytes each, little endian), then its bytes. */
  readonly file: string
}

/** Bytes of the file before the input. */
export const HEADER_BYTES = 12

/** What it says at the end. */
export interface Result {
  readonly findings: readonly Finding[]
  /** What is in use at the end: the fuzzer itself must not grow with its time. */
  readonly heapBytes: number
  readonly played: readonly { readonly target: string; readonly executions: number; readonly outcomes: number }[]
}

/** Every target that is to be played. The parsers are loaded only where they are needed. */
export async function loadTargets(only: readonly string[]): Promise<readonly Target[]> {
  const chosen = (targets: readonly Target[]) => targets.filter(({ name }) => only.length === 0 || only.includes(name))
  if (only.length > 0 && only.every((name) => name.startsWith('control-'))) return chosen(controlTargets)
  const { trustTargets } = await import('./trust-targets.ts')
  const { otherTargets } = await import('./other-targets.ts')
  const { hostTargets } = await import('./host-targets.ts')
  const { publisherTargets } = await import('./publisher-targets.ts')
  const { serverTargets } = await import('./server-targets.ts')
  return chosen([...trustTargets, ...otherTargets, ...hostTargets, ...publisherTargets, ...serverTargets])
}

async function fuzz({ seed, until, only, file }: Orders): Promise<Result> {
  const targets = await loadTargets(only)
  const onInput = openRecord(file, targets)
  const findings: Finding[] = []
  const plays: Play[] = []
  for (const target of targets) {
    const [play, found] = await openPlay(target, loadCorpus(target.name), onInput)
    plays.push(play)
    findings.push(...found)
  }
  const random = seededRandom(seed)
  const once = async (play: Play) => void findings.push(...(await playOnce(play, random, onInput)))
  if (until.kind === 'executions') {
    for (const play of plays) for (let count = 0; count < until.count; count++) await once(play)
  } else {
    const end = performance.now() + until.seconds * 1000
    while (performance.now() < end) for (const play of plays) await forOneTurn(() => once(play))
  }
  const played = plays.map(({ target, executions, outcomes }) => ({
    target: target.name,
    executions,
    outcomes: outcomes.size,
  }))
  return { findings, played, heapBytes: process.memoryUsage().heapUsed }
}

function openRecord(file: string, targets: readonly Target[]) {
  const fd = openSync(file, 'r+')
  let count = 0
  return (target: string, input: Uint8Array) => {
    const record = Buffer.alloc(HEADER_BYTES + input.length)
    record.writeUInt32LE(++count, 0)
    record.writeUInt32LE(input.length, 4)
    record.writeUInt32LE(
      targets.findIndex(({ name }) => name === target),
      8,
    )
    record.set(input, HEADER_BYTES)
    writeSync(fd, record, 0, record.length, 0)
  }
}

async function forOneTurn(once: () => Promise<void>): Promise<void> {
  const end = performance.now() + 500
  while (performance.now() < end) await once()
}

if (process.argv[1] === import.meta.filename) process.send?.(await fuzz(JSON.parse(process.argv[2] ?? '{}')))
