// netlink agent run: says what would keep the daemon from running, then becomes it.
import { acquireLock } from '../../keys/platform/lock.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { openHost } from '../host.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'

/**
 * The daemon holds little and waits most of the time: a young generation of 1 MiB, no compilers for code that never gets hot, and the collector
 * called when there is time. Together they save 6 MB of 64.
 */
const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--v8-pool-size=0',
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--regexp-interpret-all',
  '--expose-gc',
  '--disable-warning=ExperimentalWarning',
]

export async function run(context: CommandContext): Promise<ExitCode> {
  await requireWrite(context.machine)
  await openHost(context.machine)
  await refuseSecond(context.machine)
  const entry = new URL(`../daemon/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  return context.become(entry, NODE_FLAGS)
}

/** A moment of patience: the one before may be about to end. */
const WAIT_MS = 2_000

/** One daemon a host. It takes this lock itself; here is where a person is told. */
async function refuseSecond({ files, owner }: CommandContext['machine']): Promise<void> {
  try {
    const lock = await acquireLock(files.daemonLock, { owner, waitMs: WAIT_MS })
    await lock.release()
  } catch (cause) {
    if (!(cause instanceof PlatformError && cause.code === 'locked')) throw cause
    throw new Failure(
      {
        code: 'E-LOCKED',
        exit: EXIT.locked,
        title: 'the agent of this host runs already',
        detail: cause.message,
        state: 'Nothing was changed; the running agent goes on.',
        next: ['netlink agent status'],
      },
      { cause },
    )
  }
}
