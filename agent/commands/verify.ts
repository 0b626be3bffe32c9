// netlink update verify: the chain of metadata from the pinned root to the installed manifest, and the installed files.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { openHost } from '../host.ts'
import { type Check, verifyHost } from '../verification.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly deep?: boolean
}

export async function run({ machine, output, signal }: CommandContext, options: Options): Promise<ExitCode> {
  const host = await openHost(machine, signal)
  const checks = await verifyHost(host, options.deep === true)
  const failed = checks.filter((check) => check.result === 'failed')
  if (failed.length === 0) output.document('netlink.update.verify/v1', { checks })
  output.print(checks.map((check) => line(check, output.paint)).join('\n'))
  if (failed.length === 0) return EXIT.ok
  throw new Failure({
    code: 'E-VERIFY',
    exit: EXIT.unverified,
    title: `${failed.length} of ${checks.length} checks failed`,
    detail: failed.map((check) => plainLine(`${check.name}: ${check.detail}`)).join('\n'),
    state: 'Nothing was changed.',
    next: ['netlink update upgrade --to VERSION', 'netlink update rollback'],
  })
}

const MARKS = { passed: ['good', 'ok    '], failed: ['error', 'failed'], skipped: ['dim', '-     '] } as const

function line({ name, result, detail }: Check, paint: CommandContext['output']['paint']): string {
  const [meaning, word] = MARKS[result]
  return `${paint(meaning, word)}  ${plainLine(`${name}: ${detail}`)}`
}
