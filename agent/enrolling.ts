// How a host comes to a server: the root is verified and pinned, the repository checked under it, a key made here; only then the token is shown.
//
//   nothing  ->  trust/root.json pinned  ->  host.key  ->  token redeemed  ->  agent.json, which makes the host enrolled
//
// Cut off anywhere before the last step the host is not enrolled, and the same command may be given again: it goes on with the key that it made, and the
// same key with a valid token is the same host to the server.
import { createHash, randomBytes } from 'node:crypto'
import { buildFileTrustStore } from '../keys/file-trust-store.ts'
import { buildHttpSource } from '../keys/http-source.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import {
  createFileDurable,
  makeDirDurable,
  removeDurable,
  renameDurable,
  replaceFile,
} from '../keys/platform/durable.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { acquireLock } from '../keys/platform/lock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { refresh } from '../keys/refresh.ts'
import { fingerprintOf, verifyRootBytes } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { parseShape } from '../schema/parse-shape.ts'
import { type EnrollAnswer, enrollAnswerShape, enrollStatement, problemShape } from '../schema/rest.ts'
import type { Channel } from '../schema/version.ts'
import { saveBrake } from './brake.ts'
import { loadInstalled } from './engine/layout.ts'
import { type Enrolment, hostIdOf, parseHostKey, publicBytesOf, signStatement } from './enrolment.ts'
import { verifyHandedOver } from './handed-over.ts'
import { type Machine, platformOf } from './machine.ts'
import { openOutbox } from './opened-outbox.ts'
import { readAll } from './report/http.ts'
import { saveState } from './state-file.ts'
import { repositoryUrl } from './trust.ts'
import { finishReset } from './trust-reset.ts'
import { utcSecond } from './utc-second.ts'
import { raiseFloor } from './version-record.ts'

export interface EnrolRequest {
  readonly server: string
  readonly token: string
  /** The root document, or the fingerprint of one that the server is asked for. */
  readonly root:
    | { readonly kind: 'file'; readonly bytes: Uint8Array }
    | { readonly kind: 'fingerprint'; readonly sha256: string }
  readonly name: string
  readonly channel: Channel
  readonly group: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly ca: Uint8Array | undefined
  readonly insecureHttp: boolean
  readonly service: Enrolment['service']
}

const MAX_ANSWER_BYTES = 2_097_152
const DEADLINE_MS = 30_000

/** Throws TrustError for a root or a repository that does not verify, PlatformError, or Failure E-TOKEN where the server does not take the token. */
export async function enrol(machine: Machine, fetcher: Fetcher, request: EnrolRequest): Promise<Enrolment> {
  const { disk, paths, files } = machine
  await makeDirDurable(disk, paths.root, 0o755)
  await makeDirDurable(disk, paths.state, 0o700)
  await makeDirDurable(disk, paths.locks, 0o700)
  const lock = await acquireLock(`${paths.locks}/enrol`, { owner: machine.owner })
  try {
    // 1. Whom to believe. Nothing has been said to the server yet.
    const product = await pinRoot(machine, fetcher, request)
    // 2. Who this host is. Made here, never leaves.
    const seed = await loadOrMakeSeed(machine)
    // 3. Only now the token.
    const answer = await redeem(machine, fetcher, request, seed)
    if (answer.product !== product) throw foreignProduct(product, answer.product)
    const { channel } = request
    const { channel_role: role } = answer
    if (role !== null) await verifyHandedOver(machine, fetcher, request.server, { channel, role })
    // 4. The file that makes it true, last.
    if (request.ca) await replaceFile(disk, files.ca, request.ca, 0o600)
    const enrolment = enrolmentOf(machine, request, answer)
    await saveBrake(disk, files, enrolment, answer.brake)
    await openOutbox(machine, enrolment, parseHostKey(seed, files.key)).begin(answer.stored_seq)
    // What the last look found may have been another repository's.
    await removeDurable(disk, files.check)
    await restoreFloor(machine)
    await saveState(disk, files.enrolment, enrolment)
    return enrolment
  } finally {
    await lock.release()
  }
}

/** Where the floor's record was lost, enrolling again is how a person says that what is installed counts. It never sinks. */
async function restoreFloor(machine: Machine): Promise<void> {
  const installed = await loadInstalled(machine)
  if (installed) await raiseFloor(machine, installed.version)
}

/** The product of the repository under the root that somebody vouched for. The root is stored only when everything under it verifies. */
async function pinRoot(machine: Machine, fetcher: Fetcher, request: EnrolRequest): Promise<string> {
  const { disk, paths, clock } = machine
  const bytes =
    request.root.kind === 'file' ? request.root.bytes : await fetchRoot(fetcher, request.server, request.root.sha256)
  const root = verifyRootBytes(bytes)
  const { product } = root.value
  if (product === undefined) throw foreignProduct('a product in the signed root', 'none')
  const lock = await acquireLock(`${paths.locks}/trust`, { owner: machine.owner, waitMs: DEADLINE_MS })
  try {
    await finishReset(machine)
    const before = await buildFileTrustStore(disk, paths.trust).load('root.json')
    const isKnown = before !== undefined && fingerprintOf(before) === fingerprintOf(bytes)
    // The same root again keeps what this host knows. Another one begins anew, beside: what was trusted until now stays until the new one has proved good.
    const folder = isKnown ? paths.trust : `${paths.trust}.new`
    if (!isKnown) await removeDurable(disk, folder)
    await makeDirDurable(disk, folder, 0o700)
    const store = buildFileTrustStore(disk, folder)
    if (!isKnown) await store.save('root.json', bytes)
    const source = buildHttpSource(fetcher, repositoryUrl(request.server, 'metadata'))
    const trusted = await refresh({ source, store, startedAt: clock.now() })
    if (trusted.product !== product) throw foreignProduct(product, trusted.product ?? 'none')
    if (isKnown) return product
    await removeDurable(disk, paths.trust)
    await renameDurable(disk, folder, paths.trust)
    return product
  } finally {
    await lock.release()
  }
}

/** The root of this fingerprint, among those that the server has: what it says about them counts for nothing. */
async function fetchRoot(fetcher: Fetcher, server: string, sha256: string): Promise<Uint8Array> {
  const source = buildHttpSource(fetcher, repositoryUrl(server, 'metadata'))
  for (let version = 1; version <= DEFAULT_LIMITS.roots; version++) {
    const bytes = await source.load(`${version}.root.json`, DEFAULT_LIMITS.rootBytes)
    if (bytes === 'missing') break
    if (fingerprintOf(bytes) === sha256) return bytes
  }
  throw new TrustError('no-root', `the server has no root with the fingerprint ${sha256}`, {
    role: 'root',
    expected: sha256,
  })
}

function foreignProduct(expected: string, actual: string): TrustError {
  return new TrustError('foreign', `expected the repository of ${expected}, found ${actual}`, { expected, actual })
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
  if (answer.status < 200 || answer.status > 299) throw refused(url, answer.status, text)
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
function refused(url: string, status: number, text: string): Error {
  const problem = problemShape.safeParse(safeJson(text))
  const words = problem.success ? (problem.data.detail ?? problem.data.title) : `status ${status}`
  if (status !== 401 && status !== 403) return new PlatformError('http-status', `${url}: ${words}`, { url, status })
  return new Failure({
    code: 'E-TOKEN',
    exit: EXIT.forbidden,
    title: 'the server does not take this enrolment token',
    detail: words,
    state: 'This host is not enrolled; the root is pinned and its key was made.',
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
    has_ca: request.ca !== undefined,
    insecure_http: request.insecureHttp,
    service: request.service,
    enrolled_at: utcSecond(machine.clock.now()),
  }
}
