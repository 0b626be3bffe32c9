import { type Outcome, type Program, run } from '../world/programs.ts'
import { quoted, shown } from './transcript.ts'

/** Shows a command, runs it, and quotes the lines of its answer that `pick` keeps. */
export async function show(
  folder: string,
  program: Program,
  args: readonly string[],
  options: { env?: Record<string, string>; words?: string; pick?: (lines: string[]) => string[]; table?: boolean } = {},
): Promise<Outcome> {
  shown(options.words ?? [program, ...args].join(' '))
  const outcome = await run(folder, program, args, options.env)
  const text = `${outcome.stdout}${outcome.stderr}`.split('\n').filter((line) => line.trim() !== '')
  const picked = options.pick ? options.pick(text) : text
  if (picked.length > 0) quoted(picked.join('\n'), options.table ? 'cut' : 'fold')
  return outcome
}
