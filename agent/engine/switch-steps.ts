// Steps that touch the service: how it did before, stop, start, and whether the new version is well. (The flip itself is one call, in steps.ts.)
import { endWords } from '../health/probe.ts'
import { proveReady, proveStable, takeBaseline } from '../health/watch.ts'
import { appDir, type Runnable, resolveArgv, resolveEnv, resolveService, variablesOf } from '../service/definition.ts'
import { failure } from './machine.ts'
import { StepFailure } from './reason.ts'
import type { OpenSession } from './session.ts'
import { loadSite } from './site.ts'
import { DONE, SKIPPED, type StepEnd } from './step-end.ts'
import { checksOf, newRunnable, orFail, watchRequest } from './watching.ts'

export async function baseline(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, options } = session
  const old = plan.from
  if (!old?.service) return { facts: { service: 'none', failing: [] }, skipped: true }
  const status = await deps.service.status()
  if (status.state === 'stopped') return { facts: { service: 'stopped', failing: [] } }
  const checks = await checksOf(session, old)
  const required = (names: readonly string[]) =>
    names.filter((name) => checks.checks.some((one) => one.name === name && one.severity === 'required'))
  const crashed = status.state === 'crashed'
  const failing = crashed
    ? checks.checks.map(({ name }) => name)
    : await takeBaseline(deps, { ...checks, isStopped: () => session.stop() !== null, signal: session.signal })
  const bad = required(failing)
  if ((crashed || bad.length > 0) && !options.acceptUnhealthy && plan.kind !== 'rollback') {
    const words = crashed
      ? `the service does not run: ${status.ended}`
      : `checks fail before the update: ${bad.join(', ')}`
    throw new StepFailure({
      ...failure('unhealthy', 'baseline', `${old.version} is not healthy: ${words}`),
      details: crashed ? [...status.tail] : [],
    })
  }
  return { facts: { service: crashed ? 'crashed' : 'running', failing: [...failing] } }
}

export async function stop(session: OpenSession): Promise<StepEnd> {
  session.memory.stoppedAtMs = session.deps.clock.monotonicMs()
  if (!session.plan.from?.service) return SKIPPED
  await session.deps.service.stop()
  return DONE
}

export async function start(
  session: OpenSession,
  generation: Runnable & { readonly restart_units: readonly string[] },
): Promise<StepEnd> {
  const { deps, plan } = session
  const definition = resolveService(generation, await loadSite(deps))
  if (definition) await deps.service.start(definition, plan.update_id)
  if (generation.restart_units.length > 0) await deps.service.restartUnits(generation.restart_units)
  return definition || generation.restart_units.length > 0 ? DONE : SKIPPED
}

export async function ready(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, memory } = session
  const { service } = plan.manifest
  if (!service)
    return {
      facts: { failing: [], unreachable_ms: memory.stoppedAtMs === null ? null : elapsed(session) },
      skipped: true,
    }
  const end = await proveReady(deps, await watchRequest(session, newRunnable(session), false), service.ready_ms)
  const failing = orFail(session, 'ready', 'not_ready', end)
  return {
    facts: {
      failing: [...failing],
      unreachable_ms: memory.stoppedAtMs === null ? null : elapsed(session),
      warnings: warningsOf(failing),
    },
  }
}

function elapsed({ deps, memory }: OpenSession): number {
  return Math.max(0, Math.round(deps.clock.monotonicMs() - (memory.stoppedAtMs ?? 0)))
}

function warningsOf(failing: readonly string[]): string[] {
  return failing.map((name) => `check ${name} is not healthy`)
}

export async function selfTest(session: OpenSession): Promise<StepEnd> {
  const { deps, plan, signal } = session
  const tests = plan.manifest.self_tests
  if (!plan.self_tests || tests.length === 0) return SKIPPED
  const generation = newRunnable(session)
  const site = await loadSite(deps)
  const app = appDir(deps.paths, generation.number)
  const env = resolveEnv(plan.manifest.service?.env ?? {}, generation, site)
  for (const test of tests) {
    const argv = resolveArgv(test.argv, app, variablesOf(generation, site))
    const end = await deps.probes.run({ argv, env, cwd: app, timeoutMs: test.timeout_ms }, signal)
    if (end.kind === 'exited' && end.code === 0) continue
    const details = 'tail' in end ? [...end.tail] : []
    throw new StepFailure({ ...failure('self_test', 'self_test', `self-test ${test.name} ${endWords(end)}`), details })
  }
  return DONE
}

export async function stability(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { service } = plan.manifest
  if (!service) return SKIPPED
  const end = await proveStable(deps, await watchRequest(session, newRunnable(session), false), service.stability_ms)
  orFail(session, 'stability', 'unstable', end)
  return DONE
}
