// netlink agent run: says what would keep the daemon from running, then becomes it.
import type { ExitCode } from '../../schema/cli/exit-code.ts'
import { openHost } from '../host.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'

/**
 * The daemon holds little and waits most of the time: a young generation of 1 MiB, and no compilers for code that never gets hot. Together they save 3 MB
 * of its 60.
 */
const NODE_FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--v8-pool-size=0',
  '--no-opt',
  '--no-maglev',
  '--no-sparkplug',
  '--regexp-interpret-all',
  '--disable-warning=ExperimentalWarning',
]

export async function run(context: CommandContext): Promise<ExitCode> {
  await requireWrite(context.machine)
  await openHost(context.machine)
  const entry = new URL(`../daemon/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
  return context.become(entry, NODE_FLAGS)
}
