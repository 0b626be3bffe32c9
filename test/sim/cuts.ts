// What a crash test is made of: a story, told with the power cut at every one of its effects, and again at the effects of its recovery.
//
//   await runWithCuts({ scenario: (disk) => replaceFile(disk, …), recover: sweep, check: isOldOrNew }, { start })
import { type AfterCut, createSimDisk, type SimDisk } from './disk.ts'

/** Each function gets a disk, and has to build everything else anew: a power cut leaves nothing but the disk. */
export interface CutStory {
  /** What happens until the power goes. */
  scenario(disk: SimDisk): Promise<unknown>
  /** What the next start does; the power may go there too, and then it starts once more. */
  recover(disk: SimDisk): Promise<unknown>
  /** Throws unless what is there now is right. Called after a recovery that came to its end. */
  check(disk: SimDisk, cut: CutFacts): Promise<void> | void
}

export interface CutFacts {
  /** Whether the scenario had come to its end (and whoever waited for it knows that). */
  readonly isDone: boolean
  /** The effect at which the power went, counted from 1; one more than there are if the scenario came to its end. */
  readonly at: number
  /** Where and how, for a message. */
  readonly words: string
}

export interface CutOptions {
  /** Where every run begins; it is not changed. An empty disk unless given. */
  readonly start?: SimDisk
  readonly seed?: number
  /** Rolls of the dice for every cut of the scenario, besides the extremes; 4 unless said otherwise. */
  readonly samples?: number
  /** The same for cuts of the recovery; 1 unless said otherwise. */
  readonly recoverySamples?: number
  /** How many effects of each recovery are cut, evenly spread, the time after the last counting as one; all unless said otherwise, 0 for none. */
  readonly recoveryCuts?: number
  /** What a cut looks like to the program: no answer ever, as in life (the default), or a PowerCut that it can catch. */
  readonly manner?: 'freeze' | 'throw'
}

/**
 * Runs the scenario with the power cut at every one of its effects and after the last; from every state that this may leave (a `kill -9` instead of
 * the cut is one of them) runs the recovery to its end and checks; and again with the recovery itself cut at its effects.
 * Rejects at the first state that is not right, saying where. Resolves with how much was tried, so that a test can tell that anything was.
 */
export async function runWithCuts(
  story: CutStory,
  options: CutOptions = {},
): Promise<{ readonly cuts: number; readonly states: number }> {
  const {
    seed = 1,
    samples = 4,
    recoverySamples = 1,
    recoveryCuts = Number.POSITIVE_INFINITY,
    manner = 'freeze',
  } = options
  const start = options.start ?? createSimDisk()
  let states = 0

  const recoverAndCheck = async (disk: SimDisk, facts: CutFacts): Promise<number> => {
    states += 1
    try {
      await story.recover(disk)
      await story.check(disk, facts)
    } catch (error) {
      throw new Error(`${facts.words}\n${disk.describe().join('\n')}`, { cause: error })
    }
    return disk.effects
  }
  const recoverWithCuts = async (disk: SimDisk, facts: CutFacts): Promise<void> => {
    const effects = await recoverAndCheck(disk.fork(), facts)
    for (const n of spread(effects + 1, recoveryCuts)) {
      const again = disk.fork()
      await runUntilCut(again, n, manner, story.recover)
      for (const after of afterwards(again, seed + n, recoverySamples)) {
        await recoverAndCheck(after.disk, { ...facts, words: `${facts.words}; recovery ${after.words}` })
      }
    }
  }

  const whole = start.fork()
  await story.scenario(whole)
  for (let n = 1; n <= whole.effects + 1; n++) {
    const disk = start.fork()
    const isDone = await runUntilCut(disk, n, manner, story.scenario)
    for (const after of afterwards(disk, seed + n, samples)) {
      await recoverWithCuts(after.disk, { isDone, at: n, words: after.words })
    }
  }
  return { cuts: whole.effects + 1, states }
}

/** Whether it came to its end. With `throw` a program that makes an outcome of the PowerCut has not. */
async function runUntilCut(
  disk: SimDisk,
  n: number,
  manner: 'freeze' | 'throw',
  run: (disk: SimDisk) => Promise<unknown>,
): Promise<boolean> {
  disk.cutAt(n, manner)
  const ran = run(disk)
  try {
    await (manner === 'freeze' ? Promise.race([ran, disk.cut]) : ran)
  } catch (error) {
    if (!disk.isCut) throw error
  }
  return !disk.isCut
}

function afterwards(disk: SimDisk, seed: number, samples: number): AfterCut[] {
  const where = disk.isCut ? `cut at effect ${disk.effects} (${disk.log.at(-1)})` : `cut after the last effect`
  const states = [...disk.afterCut({ seed, samples }), { words: 'killed, not cut', disk: disk.fork() }]
  return states.map((state) => ({ words: `${where}: ${state.words}`, disk: state.disk }))
}

/** `count` of the numbers from 1 to `last`, evenly. */
function spread(last: number, count: number): number[] {
  const all = Array.from({ length: last }, (_, index) => index + 1)
  if (count >= last) return all
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * last) / count) + 1)
}
