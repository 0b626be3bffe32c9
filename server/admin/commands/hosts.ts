import { EXIT, type ExitCode } from '../../../schema/cli/exit-code.ts'
import { plainLine } from '../../../schema/cli/plain-text.ts'
import { checkNowAnswerShape, hostEventShape, hostShape, pageShape } from '../../../schema/rest.ts'
import type { CommandContext } from '../context.ts'
import { renderHistory, renderHost, renderHostList, renderWayBack } from '../host-pages.ts'
import { noteMore, type PageOptions } from '../paging.ts'
import { prose } from '../words.ts'

export interface HostListOptions extends PageOptions {
  readonly where?: string
  readonly sort?: string
}

export async function listHosts({ client, output, deps }: CommandContext, options: HostListOptions): Promise<ExitCode> {
  const { where, sort, limit, cursor } = options
  const page = await client.ask('GET', '/hosts', pageShape(hostShape), { query: { where, sort, limit, cursor } })
  output.answer('netlink.hosts.list/v1', page, renderHostList(page.items, deps.now(), output.style))
  if (page.items.length === 0) output.note(where === undefined ? 'No host is enrolled yet.' : 'No host is like that.')
  noteMore(output, page)
  return EXIT.ok
}

export async function showHost({ client, output, deps }: CommandContext, host: string): Promise<ExitCode> {
  const found = await client.ask('GET', `/hosts/${encodeURIComponent(host)}`, hostShape)
  output.answer('netlink.hosts.show/v1', found, renderHost(found, deps.now(), output.style))
  return EXIT.ok
}

export async function hostHistory(
  { client, output }: CommandContext,
  host: string,
  options: PageOptions,
): Promise<ExitCode> {
  const path = `/hosts/${encodeURIComponent(host)}/history`
  const page = await client.ask('GET', path, pageShape(hostEventShape), { query: { ...options } })
  output.answer('netlink.hosts.history/v1', page, renderHistory(page.items, output.style))
  if (page.items.length === 0) output.note('This host has reported nothing yet.')
  noteMore(output, page)
  return EXIT.ok
}

export async function checkNow(
  { client, output }: CommandContext,
  host: string,
  options: { readonly reason?: string },
): Promise<ExitCode> {
  const path = `/hosts/${encodeURIComponent(host)}/check-now`
  const answer = await client.ask('POST', path, checkNowAnswerShape, { query: { reason: options.reason } })
  const name = plainLine(answer.name)
  const words = answer.online
    ? `${name} is told to look for releases now.`
    : `${name} is offline; it looks for releases when it comes back.`
  output.answer('netlink.hosts.check-now/v1', answer, prose(words, output.style))
  return EXIT.ok
}

export async function forgetHost(
  { client, output, deps }: CommandContext,
  host: string,
  options: { readonly reason?: string; readonly dryRun?: boolean },
): Promise<ExitCode> {
  const dryRun = options.dryRun ?? false
  const query = { reason: options.reason, dry_run: dryRun ? 'true' : undefined }
  const was = await client.ask('DELETE', `/hosts/${encodeURIComponent(host)}`, hostShape, { query })
  const name = plainLine(was.name)
  const deleted = 'its key, what is known of it and all of its history'
  const words = dryRun
    ? `${name} would be forgotten: this server would delete ${deleted} (netlink-admin hosts history ${name}). Nothing was changed.`
    : `${name} is forgotten: this server has deleted ${deleted}. What runs on it goes on.`
  const text = `${renderWayBack(was, words, client.server, output.style)}\n${renderHost(was, deps.now(), output.style)}`
  output.answer('netlink.hosts.forget/v1', { ...was, dry_run: dryRun }, text)
  return EXIT.ok
}
