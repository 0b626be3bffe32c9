import type { StepFacts } from './journal.ts'

/** What came of a step. `skipped`: there was nothing to do. */
export interface StepEnd {
  readonly facts: StepFacts
  readonly skipped?: boolean
}

export const DONE: StepEnd = { facts: {} }
export const SKIPPED: StepEnd = { facts: {}, skipped: true }
