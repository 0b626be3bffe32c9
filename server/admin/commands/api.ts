import { EXIT, type ExitCode } from '../../../schema/cli/exit-code.ts'
import { plainText } from '../../../schema/cli/plain-text.ts'
import type { CommandContext } from '../context.ts'
import { usageFailure } from '../failures.ts'

const methods = ['GET', 'POST', 'PUT', 'DELETE']

/** Any request, with the token, as it is. The answer goes to stdout as it came, but for what a terminal would obey. */
export async function callApi(
  { client, output, deps }: CommandContext,
  method: string,
  path: string,
  options: { readonly data?: string },
): Promise<ExitCode> {
  const verb = method.toUpperCase()
  const example = ["netlink-admin api GET '/api/v1/hosts?limit=5'"]
  if (!methods.includes(verb))
    throw usageFailure(`there is no method ${JSON.stringify(method)}`, `expected one of ${methods.join(', ')}`, example)
  if (!/^\/(?!\/)/.test(path))
    throw usageFailure(`${JSON.stringify(path)} is not a path`, 'expected one such as /api/v1/hosts', example)
  const { data } = options
  const body = data?.startsWith('@') ? await deps.readFile(data.slice(1)) : data
  const text = await client.raw(verb, path, body)
  output.raw(deps.columns === null ? text : plainText(text, Number.POSITIVE_INFINITY))
  return EXIT.ok
}
