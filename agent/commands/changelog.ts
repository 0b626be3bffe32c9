// netlink update changelog
import { changelogJson, changelogMarkdown, changelogText } from '../../schema/changelog-text.ts'
import { renderJson } from '../../schema/cli/envelope.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseVersion, type Version } from '../../schema/version.ts'
import { loadChangelogs } from '../changelogs.ts'
import { openHost } from '../host.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly version?: string
  readonly since?: string
  readonly until?: string
  readonly format?: string
  readonly verify?: boolean
}

export async function run({ machine, output, signal }: CommandContext, options: Options): Promise<ExitCode> {
  const format = parseFormat(options.format)
  const request = {
    version: parse(options.version),
    since: parse(options.since),
    until: parse(options.until),
    how: options.verify ? ('refresh' as const) : ('either' as const),
  }
  const host = await openHost(machine, signal)
  const { merged, withdrawn, source, absent } = await loadChangelogs(host, request)
  if (source === 'kept') output.note('the server can’t be reached: from what was verified before')
  if (absent.length > 0) output.note(`not on this host: ${absent.join(', ')}`)
  const data = changelogJson(merged, withdrawn)
  output.document('netlink.update.changelog/v1', { ...data, source, absent })
  if (output.json) return EXIT.ok
  if (format === 'json') output.print(renderJson(data))
  else if (format === 'markdown') output.print(changelogMarkdown(merged, withdrawn))
  else output.print(changelogText(merged, withdrawn, output))
  return EXIT.ok
}

function parse(text: string | undefined): Version | undefined {
  return text === undefined ? undefined : parseVersion(text)
}

function parseFormat(text = 'text'): 'text' | 'markdown' | 'json' {
  if (text === 'text' || text === 'markdown' || text === 'json') return text
  throw new ShapeError('--format', [
    { pointer: '', message: `expected text, markdown or json, found ${JSON.stringify(text)}` },
  ])
}
