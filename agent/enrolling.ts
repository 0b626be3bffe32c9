// How a host comes to a server: the root is verified, and the repository under it, a key made here; only then the token is shown, and only when the server took
// it does anything change that was in force.
//
//   trust/ refreshed, or trust.new/ prepared  ->  host.key  ->  token redeemed  ->  what was handed over, verified  ->  trust/ and agent.json, as one
//
// Cut off anywhere, or refused, the host is what it was, or enrolled; the same command may be given again: it goes on with the key that was made, and the same
// key with a valid token is the same host to the server. Which trust it goes on with: enrolment-trust.ts.
import { createHash, randomBytes } from 'node:crypto'
import { createFileDurable, makeDirDurable, removeDurable } from '../keys/platform/durable.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { acquireLock } from '../keys/platform/lock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { plainLine } from '../schema/cli/plain-text.ts'
import { parseShape } from '../schema/parse-shape.ts'
import { readShape } from '../schema/read-shape.ts'
import { type EnrollAnswer, enrollAnswerShape, enrollStatement, problemShape } from '../schema/rest.ts'
import type { Channel } from '../schema/version.ts'
import { saveBrake } from './brake.ts'
import { loadInstalled } from './engine/layout.ts'
import { loadEnrolment } from './enrolled.ts'
import { type Enrolment, hostIdOf, parseHostKey, publicBytesOf, signStatement } from './enrolment.ts'
import { chooseTrust, foreignProduct, type GivenRoot } from './enrolment-trust.ts'
import { refuseWithheld, verifyHandedOver } from './handed-over.ts'
import { type Machine, platformOf } from './machine.ts'
import { openOutbox } from './opened-outbox.ts'
import { readAll } from './report/http.ts'
import { commitEnrolment } from './trust-reset.ts'
import { utcSecond } from './utc-second.ts'
import { raiseFloor } from './version-record.ts'

export interface EnrolRequest {
  readonly server: string
  readonly token: string
  readonly root: GivenRoot
  readonly name: string
  readonly channel: Channel
  /** A signed role of the channel: the repository has to be at least as new. */
  readonly minimumRole?: { readonly file: string; readonly text: string } | undefined
  readonly group: string | null
  readonly labels: Readonly<Record<string, string>>
  /** PEM, of at most `MAX_CA_BYTES`. */
  readonly ca: string | undefined
  readonly insecureHttp: boolean
  readonly service: Enrolment['service']
}

const MAX_ANSWER_BYTES = 2_097_152
const DEADLINE_MS = 30_000

/**
 * Throws TrustError for a root or a repository that does not verify, Failure E-OTHER-ROOT for a root that does not belong to what this host trusts and E-TOKEN
 * where the server does not take the token, PlatformError. What was in force is in force then.
 */
export async function enrol(machine: Machine, fetcher: Fetcher, request: EnrolRequest): Promise<Enrolment> {
  const { disk, paths, clock, owner } = machine
  await makeDirDurable(disk, paths.root, 0o755)
  await makeDirDurable(disk, paths.state, 0o700)
  await makeDirDurable(disk, paths.locks, 0o700)
  const lock = await acquireLock(`${paths.locks}/enrol`, { owner })
  try {
    // Held to the end: what is chosen here has to be what is in force there.
    const trust = await acquireLock(`${paths.locks}/trust`, { owner, clock, waitMs: DEADLINE_MS })
    try {
      return await enrolLocked(machine, fetcher, request)
    } finally {
      await trust.release()
    }
  } finally {
    await lock.release()
  }
}

async function enrolLocked(machine: Machine, fetcher: Fetcher, request: EnrolRequest): Promise<Enrolment> {
  // 1. Whom to believe. Nothing has been said to the server yet.
  const chosen = await chooseTrust(machine, fetcher, request)
  const { server, channel, minimumRole } = request
  const place = { server, folder: chosen.folder }
  if (minimumRole !== undefined)
    await verifyHandedOver(machine, fetcher, place, {
      channel,
      role: minimumRole.text,
      by: '--minimum-role',
      file: minimumRole.file,
    })
  // 2. Who this host is. Made here, never leaves.
  const seed = await loadOrMakeSeed(machine)
  // 3. Only now the token.
  const answer = await redeem(machine, fetcher, request, seed)
  if (answer.product !== chosen.product) throw foreignProduct(chosen.product, answer.product)
  // 4. What the server says against itself: how new its repository has to be at least.
  const { channel_role: role } = answer
  if (role === null) await refuseWithheld(chosen.trusted, channel)
  else await verifyHandedOver(machine, fetcher, place, { channel, role, by: 'the server' })
  // 5. What is worth nothing under another enrolment, and then what makes this one true, as one.
  const { disk, files } = machine
  const enrolment = enrolmentOf(machine, request, answer)
  await saveBrake(disk, files, enrolment, answer.brake)
  await openOutbox(machine, enrolment, parseHostKey(seed, files.key)).begin(answer.stored_seq)
  // What the last look found may have been another repository's.
  await removeDurable(disk, files.check)
  await restoreFloor(machine)
  await commitEnrolment(machine, chosen.folder, enrolment)
  return enrolment
}

/** Where the floor's record was lost, enrolling again is how a person says that what is installed counts. It never sinks. */
async function restoreFloor(machine: Machine): Promise<void> {
  const installed = await loadInstalled(machine)
  if (installed) await raiseFloor(machine, installed.version)
}

async function loadOrMakeSeed({ disk, files }: Machine): Promise<string> {
  const seed = randomBytes(32).toString('hex')
  try {
    await createFileDurable(disk, files.key, Buffer.from(`${seed}\n`), 0o600)
    return seed
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'exists')) throw error
    return Buffer.from(await disk.readFile(files.key, 4096))
      .toString('utf8')
      .trim()
  }
}

async function redeem(machine: Machine, fetcher: Fetcher, request: EnrolRequest, seed: string): Promise<EnrollAnswer> {
  const key = parseHostKey(seed, machine.files.key)
  const publicKey = publicBytesOf(key)
  const tokenSha256 = createHash('sha256').update(request.token).digest('hex')
  const url = new URL('/api/v1/agent/enroll', request.server).href
  const body = {
    token: request.token,
    name: request.name,
    public_key: Buffer.from(publicKey).toString('hex'),
    proof: signStatement(key, enrollStatement(tokenSha256, request.name)),
    platform: platformOf(machine.facts),
    channel: request.channel,
    group: request.group,
    labels: request.labels,
  }
  const answer = await fetcher.request('POST', url, {
    body: Buffer.from(JSON.stringify(body)),
    headers: { 'content-type': 'application/json' },
    maxBytes: MAX_ANSWER_BYTES,
    deadlineMs: DEADLINE_MS,
  })
  const text = Buffer.from(await readAll(answer.body)).toString('utf8')
  if (answer.status < 200 || answer.status > 299)
    throw refused(url, { status: answer.status, text, name: request.name }, await loadEnrolment(machine))
  const parsed = parseShape(enrollAnswerShape, parseJson(text, url), url)
  if (parsed.host_id !== hostIdOf(publicKey))
    throw new PlatformError('http-status', `${url}: answered for another host`, { url })
  return parsed
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new PlatformError('http-status', `${url}: expected JSON`, { url }, { cause })
  }
}

/** What the server said, in its own words where it has some. */
function refused(
  url: string,
  { status, text, name }: { readonly status: number; readonly text: string; readonly name: string },
  before: Enrolment | undefined,
): Error {
  const problem = readShape(problemShape, safeJson(text))
  const words = plainLine(problem.success ? (problem.data.detail ?? problem.data.title) : `status ${status}`)
  const state = before
    ? `Nothing was changed; this host stays enrolled at ${before.server}.`
    : 'This host is not enrolled, and trusts what it trusted before; its key was made.'
  if (problem.data?.reason === 'name-taken') {
    return new Failure({
      code: 'E-NAME-TAKEN',
      exit: EXIT.refused,
      title: `the server knows another host by the name of ${name}`,
      detail: `${words}. No use of the token was taken.`,
      state,
      next: [
        `netlink-admin hosts show ${name}`,
        `netlink-admin hosts forget ${name}      (if this machine takes its place)`,
        'netlink agent enroll --name OTHER …      (if it does not)',
      ],
    })
  }
  if (status !== 401 && status !== 403) return new PlatformError('http-status', `${url}: ${words}`, { url, status })
  return new Failure({
    code: 'E-TOKEN',
    exit: EXIT.forbidden,
    title: 'the server does not take this enrolment token',
    detail: words,
    state,
    next: ['netlink-server enroll-token create --uses 1 --out enroll.token'],
  })
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // a proxy's page: its status says enough
  }
}

function enrolmentOf(machine: Machine, request: EnrolRequest, answer: EnrollAnswer): Enrolment {
  return {
    server: request.server,
    host_id: answer.host_id,
    name: request.name,
    product: answer.product,
    channel: request.channel,
    group: answer.group,
    labels: request.labels,
    ca: request.ca ?? null,
    insecure_http: request.insecureHttp,
    service: request.service,
    enrolled_at: utcSecond(machine.clock.now()),
  }
}
