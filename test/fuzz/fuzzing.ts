// The loop: an input that is known, changed, read; what is new about the outcome decides whether the mutant becomes a parent itself.
//
// Guided by outcomes: an error's code and words without their numbers and quotations, or what the target says of what it read, stand for the path that was
// taken. That is coarser than counted branches and costs nothing.
import { hash } from 'node:crypto'
import { mutate } from './mutate.ts'
import type { Random } from './random.ts'
import type { Target } from './target.ts'

/** What broke the rule that a parser returns a value or refuses by name, soon. */
export interface Finding {
  readonly target: string
  readonly input: Uint8Array
  readonly what: string
}

export interface Play {
  readonly target: Target
  /** Parents; grows as new outcomes are met. */
  readonly pool: Uint8Array[]
  readonly outcomes: Set<string>
  executions: number
  findings: number
}

const MAX_POOL = 400
const MAX_PARENT_BYTES = 8_192
const MAX_OUTCOMES = 20_000
/** CPU time that one input may take. Real ones take less than a thousandth of it. */
const MAX_CPU_MS = 1_000
const MAX_FINDINGS = 10

/** Reads every known input once: those may not break the rule either. */
export async function openPlay(
  target: Target,
  corpus: readonly Uint8Array[],
  onInput: OnInput,
): Promise<[Play, Finding[]]> {
  const play: Play = { target, pool: [...corpus], outcomes: new Set(), executions: 0, findings: 0 }
  const findings: Finding[] = []
  for (const input of corpus) findings.push(...(await tryInput(play, input, onInput)))
  return [play, findings]
}

/** Called with every input before it is read, so that whoever watches knows which one never came back. */
export type OnInput = (target: string, input: Uint8Array) => void

/** One mutant. */
export async function playOnce(play: Play, random: Random, onInput: OnInput): Promise<Finding[]> {
  const { target, pool, findings } = play
  if (findings >= MAX_FINDINGS) return []
  const parent = random.pick(pool) ?? new Uint8Array()
  const mutant = mutate(random, parent, { ...target, others: pool })
  const input = target.repair !== undefined && random.next(4) > 0 ? target.repair(mutant) : mutant
  return tryInput(play, input, onInput)
}

async function tryInput(play: Play, input: Uint8Array, onInput: OnInput): Promise<Finding[]> {
  const { target, outcomes, pool } = play
  play.executions += 1
  onInput(target.name, input)
  const before = process.threadCpuUsage()
  const { outcome, broken } = await outcomeOf(target, input)
  const { user, system } = process.threadCpuUsage(before)
  const cpuMs = (user + system) / 1000
  const what = broken ?? (cpuMs > MAX_CPU_MS ? `took ${Math.round(cpuMs)} ms of CPU time` : undefined)
  if (what !== undefined) {
    play.findings += 1
    return [{ target: target.name, input, what }]
  }
  // As a digest: a piece of a message would keep the whole message, and an hour's worth of them no machine has room for.
  const digest = hash('sha1', outcome, 'base64')
  if (!outcomes.has(digest) && outcomes.size < MAX_OUTCOMES) {
    outcomes.add(digest)
    if (pool.length < MAX_POOL && input.length <= MAX_PARENT_BYTES) pool.push(Uint8Array.from(input))
  }
  return []
}

async function outcomeOf(target: Target, input: Uint8Array): Promise<{ outcome: string; broken?: string }> {
  try {
    return { outcome: `read ${String(await target.read(input)).slice(0, 40)}` }
  } catch (error) {
    if (!(error instanceof Error)) return { outcome: '', broken: `threw ${String(error)}, no error` }
    if (target.refusals.some((kind) => error instanceof kind)) return { outcome: sketch(error) }
    return { outcome: '', broken: error.stack ?? `${error.name}: ${error.message}` }
  }
}

/** The refusal without what depends on the input. */
function sketch(error: Error): string {
  const code = 'code' in error ? String(error.code) : ''
  const words = error.message.replaceAll(/"(?:[^"\\]|\\.)*"/g, 'Q').replaceAll(/[0-9]+/g, 'N')
  return `${error.name} ${code} ${words.slice(0, 160)}`
}
