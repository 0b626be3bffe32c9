// Hosts as the server sees them: keys, signatures, reports.
import { createHash } from 'node:crypto'
import { generateEd25519, type Signer } from '../../keys/signer.ts'
import { helloStatement, requestStatement } from '../../schema/protocol.ts'
import type { Inventory, Report } from '../../schema/report.ts'
import { type EnrollRequest, enrollStatement } from '../../schema/rest.ts'
import type { Core } from '../../server/core/core.ts'
import { hostIdOf } from '../../server/core/host-key.ts'
import { ReportChain } from '../world/signed-reports.ts'
import { BY, type CoreWorld } from './world.ts'

export interface TestHost {
  readonly hostId: string
  readonly signer: Signer
  readonly publicKey: string
  /** What it reports is signed in this chain. */
  readonly chain: ReportChain
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

export function newHost(): TestHost {
  const { signer } = generateEd25519()
  const publicKey = String((signer.publicKey.object.keyval as { public: string }).public)
  const hostId = hostIdOf(Buffer.from(publicKey, 'hex'))
  const chain = new ReportChain(hostId, async (statement) => hex(await signer.sign(statement)))
  return { hostId, signer, publicKey, chain }
}

export async function enrollToken(
  world: CoreWorld,
  options: { uses?: number; group?: string; hours?: number } = {},
): Promise<string> {
  const { secret } = await world.core.tokens.create(
    {
      name: 'enrolment',
      scope: 'host-enroll',
      group: options.group ?? null,
      uses: options.uses ?? 1_000,
      expiresAt: new Date(world.clock.now().getTime() + (options.hours ?? 24) * 3_600_000),
    },
    BY,
  )
  return secret
}

export async function enrollRequest(
  host: TestHost,
  token: string,
  name: string,
  more: Partial<EnrollRequest> = {},
): Promise<EnrollRequest> {
  const sha256 = createHash('sha256').update(token).digest('hex')
  const proof = hex(await host.signer.sign(enrollStatement(sha256, name)))
  return {
    token,
    name,
    public_key: host.publicKey,
    proof,
    platform: 'linux-x64',
    channel: 'alpha',
    group: null,
    labels: {},
    ...more,
  }
}

export async function enrol(
  core: Core,
  token: string,
  name: string,
  more: Partial<EnrollRequest> = {},
): Promise<TestHost> {
  const host = newHost()
  await core.enrolment.enroll(await enrollRequest(host, token, name, more))
  return host
}

/** The host reports this, signed. `by`: another machine that speaks for it. */
export async function report(core: Core, host: TestHost, reports: readonly Report[], by = host.chain) {
  const publicKey = Buffer.from(host.publicKey, 'hex')
  return core.reports.ingest({ hostId: host.hostId, publicKey }, await by.signAll(reports))
}

export async function hello(
  host: TestHost,
  nonce: string,
): Promise<{ hostId: string; nonce: string; signature: string }> {
  return { hostId: host.hostId, nonce, signature: hex(await host.signer.sign(helloStatement(host.hostId, nonce))) }
}

export async function signedRequest(
  host: TestHost,
  parts: { time: number; method?: string; path?: string; body?: string },
) {
  const request = {
    hostId: host.hostId,
    time: parts.time,
    method: parts.method ?? 'POST',
    path: parts.path ?? '/api/v1/agent/reports',
    bodySha256: createHash('sha256')
      .update(parts.body ?? '')
      .digest('hex'),
  }
  return { ...request, signature: hex(await host.signer.sign(requestStatement(request))) }
}

export function inventory(changes: { [Key in keyof Inventory]?: unknown } = {}): Inventory {
  return {
    version: null,
    since: null,
    channel: 'alpha',
    database_version: null,
    config_version: null,
    generation: null,
    platform: 'linux-x64',
    agent_version: '0.1.0',
    service: 'none',
    target: null,
    waiting: null,
    waiting_detail: null,
    root_version: 1,
    timestamp_version: 1,
    ...changes,
  } as Inventory
}

export function inventoryReport(
  seq: number,
  changes: Parameters<typeof inventory>[0] = {},
  at = '2026-11-23T10:00:00Z',
): Report {
  return { seq, at, body: { type: 'inventory', inventory: inventory(changes) } }
}

export function attemptReport(seq: number, updateId: string, state: string, more: object = {}): Report {
  const [, from, to] = updateId.split('_')
  const attempt = {
    update_id: updateId,
    kind: 'upgrade',
    from: from === 'none' ? null : from,
    to,
    state,
    code: null,
    reason: null,
    ...more,
  }
  return { seq, at: '2026-11-23T10:00:00Z', body: { type: 'attempt', attempt } } as Report
}
