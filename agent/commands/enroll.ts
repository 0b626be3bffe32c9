// netlink agent enroll
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { nameShape } from '../../schema/rest.ts'
import { channelShape } from '../../schema/version.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { loadEnrolment } from '../enrolled.ts'
import { type EnrolRequest, enrol } from '../enrolling.ts'
import { DEFAULT_SERVICE, type Enrolment, MAX_CA_BYTES } from '../enrolment.ts'
import { buildFetcher } from '../host.ts'
import type { Machine } from '../machine.ts'
import { requirePrivateState } from '../private-state.ts'
import { requireWrite } from '../rights.ts'
import { enrolAgain } from '../standing.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly server?: string
  readonly tokenFile?: string
  readonly trustRoot?: string
  readonly channel?: string
  readonly minimumRole?: string
  readonly group?: string
  readonly label?: readonly string[]
  readonly name?: string
  readonly ca?: string
  readonly insecureHttp?: boolean
  readonly serviceControl?: string
  readonly serviceUnit?: string
  readonly force?: boolean
}

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  await requireWrite(machine)
  await requirePrivateState(machine)
  await refuseEnrolled(machine, options.force === true)
  const request = await requestOf(machine, options)
  const enrolment = await enrol(machine, buildFetcher(machine, request), request)
  // A daemon that runs notices by itself within a second or two; this is sooner.
  await nudgeDaemon(machine)
  const { host_id, name, product, channel, group, server } = enrolment
  output.document('netlink.agent.enroll/v1', { host_id, name, product, channel, group, server })
  output.say(`enrolled ${name} (${host_id}) for ${product}, channel ${channel}`)
  output.print('Next: netlink agent run')
  return EXIT.ok
}

async function refuseEnrolled(machine: Machine, force: boolean): Promise<void> {
  if (force) return
  const enrolment = await loadEnrolment(machine)
  if (!enrolment) return
  throw new Failure({
    code: 'E-ENROLLED',
    exit: EXIT.refused,
    title: 'this host is enrolled already',
    detail: `It is ${enrolment.name} (${enrolment.host_id}) at ${enrolment.server}.`,
    state: 'Nothing was changed.',
    next: ['netlink agent status', enrolAgain(enrolment.server)],
  })
}

async function requestOf(machine: Machine, options: Options): Promise<EnrolRequest> {
  const insecureHttp = options.insecureHttp === true
  return {
    server: parseServer(options.server ?? machine.environment.server, insecureHttp),
    token: await loadToken(machine, options.tokenFile),
    root: await loadRoot(machine, options.trustRoot),
    name: parseShape(nameShape, options.name ?? nameOfMachine(), '--name'),
    channel: parseShape(channelShape, options.channel ?? 'release', '--channel'),
    minimumRole:
      options.minimumRole === undefined
        ? undefined
        : {
            file: options.minimumRole,
            text: Buffer.from(await read(machine, options.minimumRole)).toString('utf8'),
          },
    group: options.group === undefined ? null : parseShape(nameShape, options.group, '--group'),
    labels: Object.fromEntries((options.label ?? []).map(parseLabel)),
    ca: options.ca === undefined ? undefined : await loadCa(machine, options.ca),
    insecureHttp,
    service: parseService(options),
  }
}

/** The origin alone. Refuses plain http to another machine before anything is looked up. */
function parseServer(text: string | undefined, insecureHttp: boolean): string {
  if (text === undefined)
    throw usage('--server is missing', 'expected the address of the update server, as in https://updates.example')
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw usage(
      '--server is no address',
      `expected an address such as https://updates.example, found ${JSON.stringify(text)}`,
    )
  if (url.username !== '' || url.password !== '')
    throw usage('--server holds a password', 'secrets come as files, never in an address')
  const isLoopback = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
  if (url.protocol === 'https:' || isLoopback || insecureHttp) return url.origin
  throw new Failure({
    code: 'E-INSECURE-HTTP',
    exit: EXIT.usage,
    title: 'plain http to another machine is refused',
    detail: `${url.origin}: whoever is between could read the enrolment token. If that is meant, say --insecure-http.`,
    state: 'Nothing was changed.',
    next: [`netlink agent enroll --server https://${url.host} --token-file FILE --trust-root FILE`],
  })
}

async function loadToken(machine: Machine, file: string | undefined): Promise<string> {
  const text = file === undefined ? machine.environment.token : Buffer.from(await read(machine, file)).toString('utf8')
  const token = text?.trim() ?? ''
  if (token !== '' && token.length <= 256 && /^[\x21-\x7e]+$/.test(token)) return token
  if (file === undefined && token === '')
    throw usage('--token-file is missing', 'expected a file with the enrolment token')
  throw usage('this is no enrolment token', `${file ?? 'NETLINK_TOKEN'}: expected one line of at most 256 characters`)
}

async function loadRoot(machine: Machine, text: string | undefined): Promise<EnrolRequest['root']> {
  if (text === undefined) throw usage('--trust-root is missing', 'expected the file root.json, or its fingerprint')
  const prefixed = /^sha256:/i.test(text)
  const fingerprint = text
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase()
  if (/^[0-9a-f]{64}$/.test(fingerprint)) return { kind: 'fingerprint', sha256: fingerprint }
  if (prefixed)
    throw usage(
      '--trust-root is no fingerprint',
      `expected 64 hexadecimal digits after sha256:, found ${text.slice(7)}`,
    )
  return { kind: 'file', file: text, bytes: await read(machine, text) }
}

async function loadCa(machine: Machine, file: string): Promise<string> {
  return Buffer.from(await read(machine, file, MAX_CA_BYTES)).toString('latin1')
}

async function read(machine: Machine, file: string, maxBytes = 1 << 20): Promise<Uint8Array> {
  const path = resolve(machine.environment.cwd, file)
  try {
    return await machine.disk.readFile(path, maxBytes)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') throw usage(`${file} is not there`, error.message)
    throw error
  }
}

function parseLabel(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw usage('this is no label', `expected key=value, found ${JSON.stringify(text)}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function parseService({ serviceControl, serviceUnit }: Options): Enrolment['service'] {
  const control = serviceControl ?? DEFAULT_SERVICE.control
  if (control !== 'exec' && control !== 'systemd' && control !== 'none') {
    throw usage(
      '--service-control is none that there is',
      `expected exec, systemd or none, found ${JSON.stringify(control)}`,
    )
  }
  return { control, unit: serviceUnit ?? DEFAULT_SERVICE.unit }
}

function nameOfMachine(): string {
  return (
    hostname()
      .replaceAll(/[^0-9A-Za-z._-]/g, '-')
      .slice(0, 128) || 'host'
  )
}

function usage(title: string, detail: string): Failure {
  return new Failure({
    code: 'E-USAGE',
    exit: EXIT.usage,
    title,
    detail,
    state: 'Nothing was changed.',
    next: ['netlink agent enroll --help'],
  })
}
