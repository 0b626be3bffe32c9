// The strict reader. It takes an archive in chunks of any size and says what is in it; it accepts exactly what tar.ts writes.
//
//   header ── entry ──> body ── data, end-entry ──> padding ──> header …  block of zeros ──> end-mark ── block of zeros ──> ended
//
// Every header is read, turned into an entry and written again: were the bytes not the same, another program could read something else out of them.
// File bodies are never copied: data events point into the pushed chunk. What is kept is at most one header and the names of the entries.
import { ArchiveError, type ArchiveErrorCode } from './archive-error.ts'
import { type ArchiveEntry, quoteName } from './entry.ts'
import { BLOCK_BYTES, MAX_PAX_BYTES, paddingBytes, tarHeader } from './tar.ts'
import { createTreeRules, type TreeLimits } from './tree-rules.ts'

export type ArchiveEvent =
  | { readonly type: 'entry'; readonly entry: ArchiveEntry }
  /** The next bytes of the entry: a view into the pushed chunk, valid as long as that is. */
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  | { readonly type: 'end-entry' }

export interface ArchiveReader {
  /** What the chunk adds, in order. Throws ArchiveError; every further call then throws the same, and what was said before is void as well. */
  push(chunk: Uint8Array): readonly ArchiveEvent[]
  /** Says that no more chunks come. Throws ArchiveError (`truncated`) unless the archive was whole. */
  end(): void
}

/** A reader for one archive. The limits hold before an entry is handed out. */
export function createArchiveReader(limits: TreeLimits): ArchiveReader {
  const machine = new ReaderMachine(limits)
  let failure: { readonly error: unknown } | undefined

  const guarded = <T>(work: () => T): T => {
    if (failure !== undefined) throw failure.error
    try {
      return work()
    } catch (error) {
      failure = { error }
      throw error
    }
  }
  return { push: (chunk) => guarded(() => machine.read(chunk)), end: () => guarded(() => machine.end()) }
}

type State = 'header' | 'body' | 'padding' | 'end-mark' | 'ended'

class ReaderMachine {
  private readonly accept: (entry: ArchiveEntry) => void
  private readonly header = new HeaderBuffer()
  private state: State = 'header'
  /** Bytes that are still to come, of the body or of the padding. */
  private left = 0
  private padding = 0
  private offset = 0

  constructor(limits: TreeLimits) {
    this.accept = createTreeRules(limits)
  }

  read(chunk: Uint8Array): ArchiveEvent[] {
    const events: ArchiveEvent[] = []
    for (let start = 0; start < chunk.length; ) {
      const next = this.step(chunk, start, events)
      this.offset += next - start
      start = next
    }
    return events
  }

  end(): void {
    if (this.state !== 'ended') throw this.failed('truncated', 'the archive ends before its end mark')
  }

  /** Reads from `start` what belongs to the present state and returns where the next step begins. */
  private step(chunk: Uint8Array, start: number, events: ArchiveEvent[]): number {
    switch (this.state) {
      case 'header':
      case 'end-mark':
        return this.readHeader(chunk, start, events)
      case 'body':
        return this.readBody(chunk, start, events)
      case 'padding':
        return this.readPadding(chunk, start)
      case 'ended':
        throw this.failed('trailing', 'bytes behind the end of the archive')
    }
  }

  private readHeader(chunk: Uint8Array, start: number, events: ArchiveEvent[]): number {
    const next = this.header.fill(chunk, start)
    const bytes = this.header.take()
    if (bytes === undefined) return next
    if (isZero(bytes)) this.state = this.state === 'header' ? 'end-mark' : 'ended'
    else if (this.state === 'end-mark') throw this.failed('bad-header', 'one block of zeros where the end has two')
    else this.enter(readEntry(bytes), events)
    return next
  }

  private enter(entry: ArchiveEntry, events: ArchiveEvent[]): void {
    this.accept(entry)
    events.push({ type: 'entry', entry })
    this.left = entry.size
    this.padding = paddingBytes(entry.size)
    if (entry.size > 0) this.state = 'body'
    else events.push({ type: 'end-entry' })
  }

  private readBody(chunk: Uint8Array, start: number, events: ArchiveEvent[]): number {
    const next = Math.min(chunk.length, start + this.left)
    events.push({ type: 'data', bytes: chunk.subarray(start, next) })
    this.left -= next - start
    if (this.left === 0) {
      events.push({ type: 'end-entry' })
      this.left = this.padding
      this.state = this.padding === 0 ? 'header' : 'padding'
    }
    return next
  }

  private readPadding(chunk: Uint8Array, start: number): number {
    const next = Math.min(chunk.length, start + this.left)
    if (!isZero(chunk.subarray(start, next)))
      throw this.failed('bad-padding', 'bytes between a file and the next header')
    this.left -= next - start
    if (this.left === 0) this.state = 'header'
    return next
  }

  private failed(code: ArchiveErrorCode, message: string): ArchiveError {
    return new ArchiveError(code, `${message}, at byte ${this.offset}`, { offset: this.offset })
  }
}

/** Collects one header: a block, or a PAX header's block, its body and the block behind it. */
class HeaderBuffer {
  private readonly bytes = new Uint8Array(2 * BLOCK_BYTES + MAX_PAX_BYTES)
  private have = 0
  private need = BLOCK_BYTES

  /** Takes what it needs from the chunk and returns where that ends. */
  fill(chunk: Uint8Array, start: number): number {
    const next = Math.min(chunk.length, start + this.need - this.have)
    this.bytes.set(chunk.subarray(start, next), this.have)
    this.have += next - start
    return next
  }

  /** The whole header, valid until the next `fill`; undefined if more is to come. */
  take(): Uint8Array | undefined {
    if (this.have < this.need) return undefined
    if (this.need === BLOCK_BYTES && this.bytes[KIND] === PAX_KIND) {
      const bodyBytes = readOctal(this.bytes, 124, 11)
      if (bodyBytes === undefined || bodyBytes === 0 || bodyBytes > MAX_PAX_BYTES)
        throw badHeader('an extended header of unusable size')
      this.need = 2 * BLOCK_BYTES + bodyBytes + paddingBytes(bodyBytes)
      return undefined
    }
    const header = this.bytes.subarray(0, this.need)
    this.have = 0
    this.need = BLOCK_BYTES
    return header
  }
}

const KIND = 156
const PAX_KIND = 'x'.charCodeAt(0)

/** The entry that a header stands for. Throws ArchiveError unless the header is byte for byte what tar.ts writes for that entry. */
function readEntry(header: Uint8Array): ArchiveEntry {
  const block = header.subarray(header.length - BLOCK_BYTES)
  const type = readType(block)
  const extended = header.length > BLOCK_BYTES ? readPax(header) : undefined
  const name = decode(extended?.path ?? untilZero(block.subarray(0, 100)))
  const mode = readOctal(block, 100, 7)
  const size = extended?.size ?? readOctal(block, 124, 11)
  if (mode === undefined || size === undefined) throw badHeader(`a number that is none, of ${quoteName(name)}`)
  const entry: ArchiveEntry = { path: type === 'directory' ? name.replace(/\/$/, '') : name, type, mode, size }
  if (!isSame(tarHeader(entry), header))
    throw badHeader(`a header that this project's writer does not write, of ${quoteName(name)}`)
  return entry
}

function readType(block: Uint8Array): ArchiveEntry['type'] {
  const kind = String.fromCharCode(block[KIND] ?? 0)
  const name = () => JSON.stringify(new TextDecoder().decode(untilZero(block.subarray(0, 100))))
  switch (kind) {
    case '0':
      return 'file'
    case '5':
      return 'directory'
    case '1':
    case '2':
      throw new ArchiveError('link', `a ${kind === '1' ? 'hard' : 'symbolic'} link: ${name()}`)
    case '3':
    case '4':
    case '6':
      throw new ArchiveError('device', `a device or pipe: ${name()}`)
    default:
      throw badHeader(`an entry of kind ${JSON.stringify(kind)}`)
  }
}

/** `path` and `size` out of a PAX header, as far as they stand where they should; that they stand there alone is seen when it is written again. */
function readPax(header: Uint8Array): { readonly path: Uint8Array | undefined; readonly size: number | undefined } {
  const body = header.subarray(BLOCK_BYTES, BLOCK_BYTES + (readOctal(header, 124, 11) ?? 0))
  let path: Uint8Array | undefined
  let size: number | undefined
  for (let start = 0; start < body.length; ) {
    const [, length, key] = /^(\d{1,4}) (path|size)=/.exec(latin1(body.subarray(start, start + 16))) ?? []
    if (length === undefined || key === undefined) throw badHeader('an extended header other than path and size')
    const valueStart = start + length.length + key.length + 2
    const end = start + Number(length)
    if (end <= valueStart || end > body.length) throw badHeader('an extended header of the wrong length')
    const value = body.subarray(valueStart, end - 1)
    if (key === 'path') path = value
    else size = Number(latin1(value.subarray(0, 20)))
    start = end
  }
  return { path, size }
}

/** Digits and a closing NUL, as the writer sets them; undefined for anything else. */
function readOctal(bytes: Uint8Array, offset: number, digits: number): number | undefined {
  let value = 0
  for (let i = offset; i < offset + digits; i++) {
    const digit = (bytes[i] ?? 0) - 48
    if (digit < 0 || digit > 7) return undefined
    value = value * 8 + digit
  }
  return bytes[offset + digits] === 0 ? value : undefined
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new ArchiveError(
      'bad-name',
      `a name that is not UTF-8: ${JSON.stringify(latin1(bytes.subarray(0, 200)))}`,
      {},
      { cause },
    )
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function badHeader(message: string): ArchiveError {
  return new ArchiveError('bad-header', message)
}
