// One short run of another program: bytes in, bytes out, with an end in every case. No shell ever sees the words.
import { type ChildProcess, spawn } from 'node:child_process'

export interface ProgramCall {
  /** The program and its arguments, exactly as they are handed over. */
  readonly argv: readonly [string, ...string[]]
  readonly cwd: string
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>
  readonly stdin: Uint8Array
  readonly timeoutMs: number
  /** Aborted: the program is ended and the call rejects with the signal's reason. */
  readonly signal: AbortSignal
}

/** How it ended. `stderr` is the last 4 KiB. */
export type ProgramEnd =
  | { readonly kind: 'missing'; readonly cause: Error }
  | { readonly kind: 'timeout'; readonly stderr: string }
  | { readonly kind: 'too-much'; readonly maxBytes: number; readonly stderr: string }
  | { readonly kind: 'ended'; readonly status: string; readonly stdout: Uint8Array; readonly stderr: string }

const MAX_STDOUT_BYTES = 65_536
const KEPT_STDERR_BYTES = 4096
/** How long pipes may stay open after the program itself is gone: somebody it started may hold them. */
const DRAIN_MS = 500

/** Runs it to its end. `status` is `0` where it succeeded, otherwise another number or the name of the signal. */
export function callProgram(call: ProgramCall): Promise<ProgramEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ProgramEnd>()
  if (call.signal.aborted) return Promise.reject(call.signal.reason)
  const [program, ...args] = call.argv
  // In this process's group and terminal: a program may ask for a PIN there, and Ctrl-C reaches it too.
  const child = spawn(program, args, { cwd: call.cwd, env: call.env, stdio: 'pipe', shell: false })
  const output = gather(child, () => settle({ kind: 'too-much', maxBytes: MAX_STDOUT_BYTES, stderr: output.stderr() }))
  const onAbort = () => finish(() => reject(call.signal.reason))
  const timer = setTimeout(() => settle({ kind: 'timeout', stderr: output.stderr() }), call.timeoutMs)
  const finish = (tell: () => void) => {
    clearTimeout(timer)
    call.signal.removeEventListener('abort', onAbort)
    release(child)
    tell()
  }
  const settle = (end: ProgramEnd) => finish(() => resolve(end))
  call.signal.addEventListener('abort', onAbort, { once: true })
  child.once('error', (cause) => settle({ kind: 'missing', cause }))
  whenEnded(child, (status) => settle({ kind: 'ended', status, stdout: output.stdout(), stderr: output.stderr() }))
  // A program need not read what it is given; if it should have, its signature tells.
  child.stdin.once('error', () => undefined)
  child.stdin.end(call.stdin)
  return promise
}

/** Once both pipes are closed, or a moment after the program is gone. */
function whenEnded(child: ChildProcess, tell: (status: string) => void): void {
  const words = (code: number | null, signal: string | null) => String(code ?? signal)
  child.once('close', (code, signal) => tell(words(code, signal)))
  child.once('exit', (code, signal) => setTimeout(() => tell(words(code, signal)), DRAIN_MS).unref())
}

function gather(child: ChildProcess, onTooMuch: () => void) {
  const stdout: Buffer[] = []
  let bytes = 0
  let stderr = Buffer.alloc(0)
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_STDOUT_BYTES) return onTooMuch()
    stdout.push(chunk)
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-KEPT_STDERR_BYTES)
  })
  return { stdout: () => Buffer.concat(stdout), stderr: () => stderr.toString('utf8') }
}

/** Whatever happens from here on, this program costs nothing any more. */
function release(child: ChildProcess): void {
  child.kill('SIGKILL')
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
  child.unref()
}
