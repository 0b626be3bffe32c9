// The table of machine.ts, and what must hold for every history that could ever be written.
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { JournalEntry } from '../../agent/engine/journal.ts'
import {
  decideNext,
  failure,
  foldEntries,
  journalledSteps,
  type Next,
  type Observed,
} from '../../agent/engine/machine.ts'
import { backwardSteps, type Plan, type StepName } from '../../agent/engine/plan.ts'
import { isBackward } from '../../agent/engine/steps.ts'
import { buildInstallPlan } from '../../agent/plan-building.ts'
import { createPublisher, pack } from './release.ts'

let plan: Plan

beforeAll(async () => {
  const publisher = await createPublisher()
  const { verified } = await publisher.release('0a2', pack({ app: 'x' }))
  const facts = {
    now: new Date('2026-11-23T10:00:00Z'),
    platform: 'linux-x64',
    isTaken: () => false,
    rollbackOnFailure: true,
    selfTests: true,
  }
  const built = buildInstallPlan({ ...facts, installed: null }, { verified, generation: 2, quarantineAccepted: false })
  if (!built) throw new Error('no plan')
  const from = {
    schema: 'netlink.generation/v1' as const,
    number: 1,
    update_id: 'update_none_0a1_20261122_100000',
    product: 'demo',
    version: verified.value.version,
    channel: 'alpha',
    released_at: '2026-11-22T10:00:00Z',
    created_at: '2026-11-22T10:00:00Z',
    manifest_sha256: '0'.repeat(64),
    artifact_sha256: '0'.repeat(64),
    tree_sha256: '0'.repeat(64),
    tree: '0a1-000000000000',
    database_version: null,
    config_version: null,
    lock_digests: {},
    service: null,
    restart_units: [],
  }
  plan = { ...built, kind: 'upgrade', from }
})

const begin: JournalEntry = { phase: 'DECIDE', decision: { to: 'begin', plan_sha256: '' } }
const crash: JournalEntry = { phase: 'DECIDE', decision: { to: 'recover' } }
const intent = (step: StepName, attempt = 1): JournalEntry => ({ phase: 'INTENT', step, attempt })
const done = (step: StepName, attempt = 1): JournalEntry => ({ phase: 'DONE', step, attempt, facts: {} })
const fail = (step: StepName, attempt = 1): JournalEntry => ({
  phase: 'FAIL',
  step,
  attempt,
  reason: failure('io', step, 'no'),
})
const both = (step: StepName): JournalEntry[] => [intent(step), done(step)]
const through = (last: StepName): JournalEntry[] => {
  const steps: readonly StepName[] = journalledSteps(plan)
  return steps.slice(0, steps.indexOf(last) + 1).flatMap(both)
}
const old: Observed = { current: 1, stop: null, journalLost: false }
const now: Observed = { ...old, current: 2 }

/** In one word. */
function words(next: Next): string {
  if (next.kind === 'step') return next.step
  if (next.kind === 'go-back') return `back: ${next.reason.code}`
  if (next.kind === 'end' || next.kind === 'ended') return next.outcome.kind
  return 'operator'
}
const decide = (entries: readonly JournalEntry[], observed: Observed) =>
  words(decideNext(plan, [begin, ...entries], observed))

describe('going forward', () => {
  test('takes one step after the other', () => {
    expect(decide([], old)).toBe('download')
    expect(decide(through('baseline'), old)).toBe('stop')
    expect(decide(through('switch'), now)).toBe('start')
    expect(decide(through('commit'), now)).toBe('collect')
    expect(decide(through('collect'), now)).toBe('committed')
  })

  test('goes back where a step failed', () => {
    expect(decide([intent('download'), fail('download')], old)).toBe('back: io')
    expect(decide([...through('start'), intent('ready'), fail('ready')], now)).toBe('back: io')
  })

  test('tries to commit three times before it goes back', () => {
    const tries = [1, 2].flatMap((attempt) => [intent('commit', attempt), fail('commit', attempt)])
    expect(decide([...through('stability'), ...tries], now)).toBe('commit')
    expect(decide([...through('stability'), ...tries, intent('commit', 3), fail('commit', 3)], now)).toBe('back: io')
  })

  test('counts as committed where only the tidying failed', () => {
    expect(decide([...through('commit'), intent('collect'), fail('collect')], now)).toBe('committed')
  })

  test('stops where it is asked to, but not in the commit', () => {
    const stop = failure('cancelled', null, 'enough')
    expect(decide(through('unpack'), { ...old, stop })).toBe('back: cancelled')
    expect(decide(through('start'), { ...now, stop })).toBe('back: cancelled')
    expect(decide([...through('stability'), intent('commit'), fail('commit')], { ...now, stop })).toBe('commit')
    expect(decide(through('commit'), { ...now, stop })).toBe('collect')
  })
})

describe('after a crash', () => {
  test.each<[string, () => JournalEntry[], Observed, string]>([
    ['before anything was stopped', () => [...through('stage'), crash], old, 'back: interrupted'],
    ['in the middle of unpacking', () => [...through('verify'), intent('unpack'), crash], old, 'back: interrupted'],
    ['while stopping', () => [...through('baseline'), intent('stop'), crash], old, 'back: interrupted'],
    ['before the switch took effect', () => [...through('stop'), intent('switch'), crash], old, 'back: interrupted'],
    ['after the switch took effect', () => [...through('stop'), intent('switch'), crash], now, 'switch'],
    ['after the switch was recorded', () => [...through('switch'), crash], now, 'start'],
    ['while the new version proves itself', () => [...through('ready'), intent('stability'), crash], now, 'start'],
    [
      'twice while it proves itself',
      () => [...through('ready'), crash, intent('start', 2), crash],
      now,
      'back: interrupted',
    ],
    ['when it had proved itself', () => [...through('stability'), crash], now, 'commit'],
    ['twice when it had proved itself', () => [...through('stability'), crash, crash], now, 'commit'],
    ['in the middle of the commit', () => [...through('stability'), intent('commit'), crash], now, 'commit'],
    ['while tidying', () => [...through('commit'), intent('collect'), crash], now, 'collect'],
    ['after a step had failed', () => [...through('start'), intent('ready'), fail('ready'), crash], now, 'back: io'],
    ['where the switch was recorded and is not there', () => [...through('switch'), crash], old, 'back: interrupted'],
    ['where `current` is nowhere', () => [...through('switch'), crash], { ...old, current: 7 }, 'operator'],
    ['where `current` is gone', () => [...through('switch'), crash], { ...old, current: null }, 'operator'],
    ['where `current` is a folder', () => [...through('switch'), crash], { ...old, current: 'unreadable' }, 'operator'],
    ['where `current` is new and nobody switched', () => [...through('stage'), crash], now, 'operator'],
  ])('%s', (_, entries, observed, expected) => {
    expect(decide(entries(), observed)).toBe(expected)
  })
})

describe('going back', () => {
  const goBack: JournalEntry = {
    phase: 'DECIDE',
    decision: { to: 'go-back', reason: failure('not_ready', 'ready', 'no') },
  }

  test('only tidies where nothing was stopped', () => {
    expect(decide([...through('unpack'), goBack], old)).toBe('back_record')
    expect(decide([...through('unpack'), goBack, ...both('back_record')], old)).toBe('discarded')
  })

  test('takes each of its steps', () => {
    const seen = [...through('start'), goBack]
    for (const step of backwardSteps) {
      expect(decide(seen, step === 'back_stop' || step === 'back_switch' ? now : old)).toBe(step)
      seen.push(...both(step))
    }
    expect(decide(seen, old)).toBe('rolled_back')
  })

  test('starts the old version although the new one could not be stopped', () => {
    const stuck = [intent('back_stop', 1), fail('back_stop', 1), intent('back_stop', 2), fail('back_stop', 2)]
    expect(decide([...through('start'), goBack, ...stuck], now)).toBe('back_switch')
    const rest = (['back_switch', 'back_start', 'back_record'] as const).flatMap(both)
    expect(decide([...through('start'), goBack, ...stuck, ...rest], old)).toBe('stranded')
  })

  test('starts again after a reboot what it had started before', () => {
    const seen = [
      ...through('start'),
      goBack,
      ...both('back_stop'),
      ...both('back_switch'),
      ...both('back_start'),
      crash,
    ]
    expect(decide(seen, old)).toBe('back_stop')
  })
})

/** Whatever happens: each step may succeed, fail, or die before or after its effect; the machine dies as often as it likes. */
describe('every history', () => {
  type Fate = 'done' | 'fail' | 'die' | 'die-after-effect'
  const fates = fc.array(fc.constantFrom<Fate>('done', 'done', 'done', 'fail', 'die', 'die-after-effect'), {
    minLength: 60,
    maxLength: 400,
  })

  function live(list: readonly Fate[]) {
    const entries: JournalEntry[] = [begin]
    let current: number = 1
    let wentBack = false
    for (let index = 0; index < 2000; index++) {
      const fate = list[index % list.length] ?? 'done'
      const next = decideNext(plan, entries, { ...old, current })
      switch (next.kind) {
        case 'end':
          entries.push({ phase: 'DECIDE', decision: { to: 'end', outcome: next.outcome } })
          break
        case 'ended':
          return { outcome: next.outcome, current, entries, length: index }
        case 'go-back':
          wentBack = true
          entries.push({ phase: 'DECIDE', decision: { to: 'go-back', reason: next.reason } })
          break
        case 'operator':
          throw new Error(next.message)
        case 'step': {
          const { step, attempt } = next
          expect(wentBack && !isBackward(step)).toBe(false) // one-way
          entries.push(intent(step, attempt))
          if (fate !== 'die') {
            if (step === 'switch') current = 2
            if (step === 'back_switch' && fate !== 'fail') current = 1
          }
          if (fate === 'done') entries.push(done(step, attempt))
          else if (fate === 'fail') entries.push(fail(step, attempt))
          else entries.push(crash)
        }
      }
    }
    throw new Error(`no end after 2000 turns: ${JSON.stringify(entries.slice(-6))}`)
  }

  test('ends, and says truly where', () => {
    fc.assert(
      fc.property(fates, (list) => {
        const { outcome, current } = live(list)
        if (outcome.kind === 'committed') expect(current).toBe(2)
        if (outcome.kind === 'rolled_back' || outcome.kind === 'discarded') expect(current).toBe(1)
      }),
      { numRuns: process.env.SLOW === '1' ? 20_000 : 1000 },
    )
  })

  test('of successes ends committed, and is short', () => {
    const { outcome, entries } = live(['done'])
    expect(outcome.kind).toBe('committed')
    expect(entries.length).toBeLessThan(40)
  })

  test('of crashes only ends', () => {
    expect(live(['die']).outcome.kind).toBe('discarded')
    expect(['stranded', 'rolled_back', 'discarded']).toContain(live(['die-after-effect']).outcome.kind)
  })
})

test('a fold of nothing is nothing', () => {
  const state = foldEntries([])
  expect(state.of('stage').attempts).toBe(0)
  expect(state.ended).toBe(null)
})
