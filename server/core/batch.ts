/** Collects what is asked for within one turn of the loop, and while an earlier batch is under way, and does it together. */
export interface Batch<Ask, Answer> {
  (ask: Ask): Promise<Answer>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** `work` answers each ask at its own index, or throws for all. At most `maxSize` asks go into one batch, and batches come one after another. */
export function buildBatch<Ask, Answer>(
  work: (asks: readonly Ask[]) => Promise<readonly Answer[]>,
  maxSize: number,
): Batch<Ask, Answer> {
  interface Waiting {
    readonly ask: Ask
    readonly resolve: (answer: Answer) => void
    readonly reject: (error: unknown) => void
  }
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxSize)
      waiting = waiting.slice(maxSize)
      try {
        const answers = await work(batch.map(({ ask }) => ask))
        for (const [index, { resolve, reject }] of batch.entries()) {
          const answer = answers[index]
          if (answer === undefined) reject(new Error('a batch left an ask without an answer'))
          else resolve(answer)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    running = undefined
  }

  const ask = (one: Ask) =>
    new Promise<Answer>((resolve, reject) => {
      waiting.push({ ask: one, resolve, reject })
      // A turn later, so that everything that came in this one goes along.
      running ??= new Promise<void>((turn) => setImmediate(turn)).then(run)
    })
  return Object.assign(ask, { idle: async () => void (await running) })
}
