// The machine's own way of asking: node:http, sockets, programs, systemctl. Nothing goes through a shell, nothing is inherited.
import { execFile, spawn } from 'node:child_process'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { parseUnitFacts } from '../service/systemctl.ts'
import { createTail } from '../service/tail.ts'
import type { Probes, ProgramEnd, ProgramRun, UnitFacts } from './probe.ts'

const MAX_BODY_BYTES = 64 << 10
const KILL_AFTER_MS = 2_000

export const nodeProbes: Probes = { http: askHttp, tcp: askTcp, run: runProgram, unit: askUnit }

function askHttp(url: string, timeoutMs: number, signal?: AbortSignal): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const until = within(timeoutMs, signal)
  const request = url.startsWith('https:') ? requestHttps : requestHttp
  try {
    const sent = request(
      url,
      { agent: false, signal: until.signal, headers: { 'user-agent': 'netlink-health', connection: 'close' } },
      (response) => {
        const chunks: Buffer[] = []
        let length = 0
        const finish = () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') })
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk.subarray(0, MAX_BODY_BYTES - length))
          length += chunk.length
          if (length < MAX_BODY_BYTES) return
          finish()
          response.destroy()
        })
        response.once('end', finish)
        response.once('error', reject)
      },
    )
    sent.once('error', reject)
    sent.end()
  } catch (error) {
    reject(error) // a URL that is none
  }
  return told(promise, url, timeoutMs, until)
}

function askTcp(host: string, port: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const until = within(timeoutMs, signal)
  const socket = connect({ host, port, signal: until.signal })
  socket.once('connect', () => {
    resolve()
    socket.destroy()
  })
  socket.once('error', reject)
  return told(promise, `${host}:${port}`, timeoutMs, until)
}

/** A program in a process group of its own, so that its children end with it. */
function runProgram({ argv, env, cwd, timeoutMs }: ProgramRun, signal?: AbortSignal): Promise<ProgramEnd> {
  const [program = '', ...args] = argv
  const { promise, resolve } = Promise.withResolvers<ProgramEnd>()
  const tail = createTail()
  const until = within(timeoutMs, signal)
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const killGroup = (name: NodeJS.Signals) => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, name)
    } catch {
      // gone already
    }
  }
  let hardKill: NodeJS.Timeout | undefined
  const stop = () => {
    killGroup('SIGTERM')
    hardKill = setTimeout(() => killGroup('SIGKILL'), KILL_AFTER_MS)
  }
  until.signal.addEventListener('abort', stop, { once: true })
  child.stdout.on('data', tail.push)
  child.stderr.on('data', tail.push)
  child.once('error', (error) => resolve({ kind: 'not-started', message: error.message }))
  child.once('exit', (code, by) => {
    killGroup('SIGKILL') // children that it left behind
    // Whoever inherited the pipes may keep them open for ever: what was written by now is enough.
    setImmediate(() => {
      child.stdout.destroy()
      child.stderr.destroy()
      const lines = tail.lines()
      if (until.timedOut()) resolve({ kind: 'timed-out', tail: lines })
      else if (code === null) resolve({ kind: 'killed', by: by ?? 'a signal', tail: lines })
      else resolve({ kind: 'exited', code, tail: lines })
    })
  })
  return promise.finally(() => {
    until.clear()
    clearTimeout(hardKill)
    until.signal.removeEventListener('abort', stop)
  })
}

function askUnit(name: string, timeoutMs: number, signal?: AbortSignal): Promise<UnitFacts> {
  const { promise, resolve, reject } = Promise.withResolvers<UnitFacts>()
  const args = ['show', '--property=ActiveState,SubState,Result,NRestarts', '--', name]
  execFile(
    'systemctl',
    args,
    { timeout: timeoutMs, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, ...(signal ? { signal } : {}) },
    (error, stdout) => {
      if (error) reject(new Error(`systemctl show ${name}: ${error.message}`, { cause: error }))
      else resolve(parseUnitFacts(stdout))
    },
  )
  return promise
}

/** A time limit and the caller's signal as one signal. */
function within(timeoutMs: number, signal?: AbortSignal) {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), timeoutMs)
  return {
    signal: signal ? AbortSignal.any([limit.signal, signal]) : limit.signal,
    timedOut: () => limit.signal.aborted,
    clear: () => clearTimeout(timer),
  }
}

async function told<T>(
  promise: Promise<T>,
  what: string,
  timeoutMs: number,
  until: ReturnType<typeof within>,
): Promise<T> {
  try {
    return await promise
  } catch (cause) {
    if (until.timedOut()) throw new Error(`${what} did not answer within ${timeoutMs} ms`, { cause })
    throw new Error(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  } finally {
    until.clear()
  }
}
