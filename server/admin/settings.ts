// Which server, which token, whom to believe: flag, then environment, then nothing.

import type { AdminDeps } from './deps.ts'
import { usageFailure } from './failures.ts'

export interface GlobalOptions {
  readonly server?: string
  readonly tokenFile?: string
  readonly ca?: string
  readonly insecureHttp?: boolean
}

export interface Connection {
  /** Without a slash at its end. */
  readonly server: string
  readonly token: string
}

/** Reads what is needed to talk to the server. Throws Failure naming what is missing. Warns about a token that others can read. */
export async function loadConnection(
  deps: AdminDeps,
  options: GlobalOptions,
  warn: (text: string) => void,
): Promise<Connection> {
  const server = parseServer(options.server ?? deps.environment.NETLINK_SERVER, options.insecureHttp === true)
  const token = await loadToken(deps, options.tokenFile, warn)
  if (options.ca !== undefined) deps.trustCa(await readText(deps, options.ca, '--ca'))
  return { server, token }
}

/** The server's address. Plain http only where nobody can listen: the token goes along with every request. */
export function parseServer(text: string | undefined, insecureHttp: boolean): string {
  if (text === undefined || text === '') {
    throw usageFailure('no server is named', 'expected --server URL or NETLINK_SERVER', [
      'netlink-admin fleet status --server https://updates.example.com --token-file FILE',
    ])
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.search !== '' || url.hash !== '') {
    throw usageFailure(
      `${JSON.stringify(text)} is not the address of a server`,
      'expected a URL such as https://updates.example.com or http://127.0.0.1:8400',
      ['netlink-admin --help'],
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw usageFailure('the address of the server holds a password', 'expected the token in a file', [
      'netlink-admin fleet status --server URL --token-file FILE',
    ])
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !insecureHttp) {
    throw usageFailure(
      `plain http to ${url.host} would show the token to everybody on the way`,
      'expected https, or http to this machine',
      [`netlink-admin fleet status --server https://${url.host}`, 'netlink-admin fleet status --insecure-http'],
    )
  }
  return url.href.replace(/\/+$/, '')
}

async function loadToken(deps: AdminDeps, file: string | undefined, warn: (text: string) => void): Promise<string> {
  const fromEnvironment = deps.environment.NETLINK_TOKEN
  if (file === undefined && fromEnvironment) return checkToken(fromEnvironment.trim(), 'NETLINK_TOKEN')
  if (file === undefined) {
    throw usageFailure('no token is given', 'expected --token-file FILE or NETLINK_TOKEN', [
      'netlink-server token create --scope read --name NAME',
    ])
  }
  const token = checkToken((await readText(deps, file, '--token-file')).trim(), file)
  if (((await deps.fileMode(file)) & 0o077) !== 0) warn(`warning: ${file} can be read by others; chmod 600 ${file}`)
  return token
}

/** A header can only hold so much; whether the token is good is for the server to say. */
function checkToken(token: string, from: string): string {
  if (/^[!-~]{1,256}$/.test(token)) return token
  throw usageFailure(`${from} holds no token`, 'expected one line such as nlk_admin_…', [
    'netlink-server token create --scope read --name NAME',
  ])
}

async function readText(deps: AdminDeps, path: string, option: string): Promise<string> {
  try {
    return await deps.readFile(path)
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause)
    throw usageFailure(`the file of ${option} can’t be read`, words, [`ls -l ${path}`])
  }
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  )
}
