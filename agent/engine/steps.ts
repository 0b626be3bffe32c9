// The effect of each step. May be repeated after a crash in its middle wherever the machine repeats it; throws where it fails, and the loop decides.
import { unreachable } from '../../schema/unreachable.ts'
import { backProve, backRecord, backStart, backStop } from './back-steps.ts'
import { collectOld, commit } from './commit-steps.ts'
import { switchCurrent } from './layout.ts'
import { type BackwardStep, backwardSteps, type StepName } from './plan.ts'
import type { OpenSession } from './session.ts'
import { download, stage, unpackTree, verify } from './stage-steps.ts'
import { check, requireSigned } from './staged-tree.ts'
import { DONE, SKIPPED, type StepEnd } from './step-end.ts'
import { baseline, ready, selfTest, stability, start, stop } from './switch-steps.ts'
import { newRunnable } from './watching.ts'

export function isBackward(step: StepName): step is BackwardStep {
  return backwardSteps.some((name) => name === step)
}

/** Does it. Throws whatever reason.ts turns into words. */
export async function performStep(session: OpenSession, step: StepName): Promise<StepEnd> {
  switch (step) {
    case 'preflight':
      return SKIPPED // done before there was a journal
    case 'download':
      return download(session)
    case 'verify':
      return verify(session)
    case 'unpack':
      return unpackTree(session)
    case 'stage':
      return stage(session)
    case 'check':
      return check(session)
    case 'baseline':
      return prepareStop(session)
    case 'stop':
      return stop(session)
    case 'switch':
      await requireSigned(session, 'switch')
      await switchCurrent(session.deps, session.plan.generation.number)
      return DONE
    case 'start':
      return start(session, newRunnable(session))
    case 'ready':
      return ready(session)
    case 'self_test':
      return selfTest(session)
    case 'stability':
      return stability(session)
    case 'commit':
      return commit(session)
    case 'collect':
      return collectOld(session)
    case 'back_stop':
      return backStop(session)
    case 'back_switch':
      await switchCurrent(session.deps, session.plan.from?.number ?? null)
      return DONE
    case 'back_start':
      return backStart(session)
    case 'back_prove':
      return backProve(session)
    case 'back_record':
      return backRecord(session)
    default:
      return unreachable(step)
  }
}

/** The last step of which the service notices nothing. What was changed while health was asked is found here, for less than it would cost after the stop. */
async function prepareStop(session: OpenSession): Promise<StepEnd> {
  const end = await baseline(session)
  await requireSigned(session, 'baseline')
  await session.options.beforeStop?.()
  return end
}
