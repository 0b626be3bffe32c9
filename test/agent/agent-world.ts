// A host and its server for the command line's tests: `netlink` in this process, which is quick, or as one of its own, over HTTP, against real signed bytes.
// The server is a small one that serves a simulated repository and can be told to misbehave; what the real server does with the same requests is shown in
// test/e2e.

import { execFile, spawn } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonValue } from '../../schema/json-value.ts'
import { type Report, reportBodyShape } from '../../schema/report.ts'
import { enrollRequestShape, enrollStatement, reportsRequestShape } from '../../schema/rest.ts'
import { type Files, pack } from '../engine/release.ts'
import { SimRepository } from '../sim/repository.ts'
import { NODE_FLAGS } from '../world/programs.ts'
import { runHere } from './command-line.ts'

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const BIN = join(import.meta.dirname, '..', '..', 'agent', 'bin.cjs')
const TOKEN = 'nlk_host-enroll_abc_secret'

export type AgentWorld = Awaited<ReturnType<typeof buildAgentWorld>>

/** Everything below one new folder; `close` ends and removes it. */
export async function buildAgentWorld(options: { readonly home?: string } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-agent-'))
  const home = join(folder, options.home ?? 'host')
  const repo = await SimRepository.create({ product: 'demo', now: new Date(), validDays: 90 })
  const artifacts = new Map<string, Uint8Array>()
  const requests: string[] = []
  const reports: Report[] = []
  const brake = { paused: false, reason: null as string | null, since: null }
  let handedOver: Uint8Array | null | undefined
  let product = 'demo'
  /** What the server does instead of answering, by path prefix. */
  const tricks = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>()
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    void answer(request, response)
  })
  await listen(server)
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await mkdir(home, { recursive: true })
  await writeFile(join(folder, 'root.json'), repo.file('1.root.json'))
  await writeFile(join(folder, 'token'), `${TOKEN}\n`, { mode: 0o600 })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURI(request.url ?? '')
    for (const [prefix, trick] of tricks) if (path.startsWith(prefix)) return trick(request, response)
    const file = (bytes: Uint8Array | undefined) => {
      response.writeHead(bytes ? 200 : 404, bytes ? { 'content-length': bytes.length } : {})
      response.end(bytes)
    }
    if (path.startsWith('/repo/metadata/')) return file(repo.files.get(path.slice('/repo/metadata/'.length)))
    if (path.startsWith('/repo/targets/')) return file(repo.targetFiles.get(path.slice('/repo/targets/'.length)))
    if (path.startsWith('/repo/artifacts/')) return file(artifacts.get(path.slice('/repo/artifacts/'.length)))
    const body = await bodyOf(request)
    if (path === '/api/v1/agent/enroll') return json(response, enroll(body))
    if (path === '/api/v1/agent/reports') return json(response, ingest(body))
    return file(undefined)
  }

  /** Checks what the real server checks: token, and that whoever shows it holds the key. */
  function enroll(body: unknown): [status: number, body: object] {
    const request = enrollRequestShape.parse(body)
    if (request.token !== TOKEN)
      return [401, { type: 'about:blank', title: 'unknown token', status: 401, code: 'unauthenticated' }]
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), Buffer.from(request.public_key, 'hex')])
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    const tokenSha256 = createHash('sha256').update(TOKEN).digest('hex')
    const isGood = verify(null, enrollStatement(tokenSha256, request.name), key, Buffer.from(request.proof, 'hex'))
    if (!isGood) return [401, { type: 'about:blank', title: 'bad proof', status: 401, code: 'unauthenticated' }]
    const id = createHash('sha256').update(Buffer.from(request.public_key, 'hex')).digest('hex').slice(0, 32)
    return [
      200,
      {
        host_id: `h_${id}`,
        product,
        group: request.group,
        brake,
        stored_seq: storedSeq(),
        channel_role: roleFor(request.channel),
      },
    ]
  }

  /** As the real server: the newest that there is. */
  function roleFor(channel: string): string | null {
    const versions = [...repo.files.keys()].map((name) => Number(name.match(`^(\\d+)\\.${channel}\\.json$`)?.[1] ?? 0))
    const role = handedOver === undefined ? repo.files.get(`${Math.max(...versions)}.${channel}.json`) : handedOver
    return role ? Buffer.from(role).toString('utf8') : null
  }

  function ingest(body: unknown): [status: number, body: object] {
    const { items } = reportsRequestShape.parse(body)
    for (const { seq, at, body: text } of items)
      if (!reports.some((one) => one.seq === seq))
        reports.push({ seq, at, body: reportBodyShape.parse(JSON.parse(text)) })
    return [200, { stored_seq: storedSeq(), brake, timestamp_version: 1 }]
  }

  function storedSeq(): number {
    return Math.max(0, ...reports.map((report) => report.seq))
  }

  const env: NodeJS.ProcessEnv = { ...process.env, NETLINK_HOME: home, NO_COLOR: '1' }
  const answerOf = async (args: string[]) => JSON.parse((await runHere(folder, env, [...args, '--json'])).stdout)
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  }
  return {
    folder,
    /** The role that the server hands over with enrolments from now on; null: none. */
    handOver: (role: Uint8Array | null) => {
      handedOver = role
    },
    /** Which product the server says that it is of. */
    product: (name: string) => {
      product = name
    },
    home,
    repo,
    address,
    requests,
    reports,
    tricks,
    artifacts,
    env,
    /** Runs `netlink` to its end: the whole command line, in this process. */
    run: (...args: string[]) => runHere(folder, env, args),
    /** The same as a process of its own. */
    process: (...args: string[]) => runProcess(folder, env, args),
    /** Runs it with `--json` and reads the answer. */
    json: (...args: string[]) => answerOf(args),
    /** The version that is installed, or null. */
    installed: async () => (await answerOf(['update', 'version'])).current_version,
    /** Starts `netlink` as a process of its own; hands over that and its end. */
    start: (...args: string[]) => start(folder, env, args),
    enrol: (...args: string[]) =>
      runHere(folder, env, [
        'agent',
        'enroll',
        '--server',
        address,
        '--token-file',
        'token',
        '--trust-root',
        'root.json',
        '--channel',
        'alpha',
        '--name',
        'web-03',
        ...args,
      ]),
    /** Publishes a release without a service; `changes` go into its manifest. */
    publish: async (
      version: string,
      changes: Readonly<Record<string, JsonValue>> = {},
      files: Files = { 'app.txt': version },
    ) => {
      const { archive, artifact } = pack(files)
      artifacts.set(String(artifact.sha256), archive)
      await repo.release(version, { artifacts: [artifact], ...changes })
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The world of a host that is enrolled and could install 0a1. */
export async function publishedWorld(): Promise<AgentWorld> {
  const world = await buildAgentWorld()
  await world.enrol()
  await world.publish('0a1')
  return world
}

/** A changelog as it stands in a manifest. */
export function changelog(version: string, summary: string, entries: object[] = []) {
  return JSON.parse(
    JSON.stringify({ schema: 'netlink.changelog/v1', version, previous: null, date: '2026-11-23', summary, entries }),
  )
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  return text === '' ? undefined : JSON.parse(text)
}

function json(response: ServerResponse, [status, body]: [status: number, body: object]): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function runProcess(cwd: string, env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...NODE_FLAGS, BIN, ...args],
      { cwd, env, timeout: 60_000, maxBuffer: 16 << 20 },
      (_error, stdout, stderr) => resolve({ status: child.exitCode, stdout, stderr }),
    )
  })
}

function start(cwd: string, env: NodeJS.ProcessEnv, args: readonly string[]) {
  const child = spawn(process.execPath, [...NODE_FLAGS, BIN, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const end = new Promise<Ended & { signal: string | null }>((resolve) =>
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr })),
  )
  return { child, end, output: () => stdout + stderr }
}
