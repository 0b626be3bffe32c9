import { type ArchiveEvent, createArchiveReader } from '../../../schema/archive/reader.ts'
import { TAR_END, tarHeader, tarPadding } from '../../../schema/archive/tar.ts'

export interface Item {
  readonly path: string
  /** undefined: a folder. */
  readonly content?: Uint8Array | undefined
  readonly mode?: number
}

export const LIMITS = { maxEntries: 1_000, maxBytes: 100_000_000 }

/** The archive of these items as the writer makes it, in the order given. */
export function pack(items: readonly Item[]): Buffer {
  const parts = items.flatMap(({ path, content, mode }) => [
    tarHeader({
      path,
      type: content ? 'file' : 'directory',
      mode: mode ?? (content ? 0o644 : 0o755),
      size: content?.length ?? 0,
    }),
    ...(content ? [content, tarPadding(content.length)] : []),
  ])
  return Buffer.concat([...parts, TAR_END])
}

/** What a reader says of an archive that is pushed in pieces of these lengths (the last one repeats). */
export function read(archive: Uint8Array, lengths: readonly number[] = [archive.length || 1], limits = LIMITS): Item[] {
  const reader = createArchiveReader(limits)
  const items: { path: string; content: Uint8Array[] | undefined; mode: number }[] = []
  const take = (event: ArchiveEvent) => {
    const last = items.at(-1)
    if (event.type === 'entry')
      items.push({
        path: event.entry.path,
        content: event.entry.type === 'file' ? [] : undefined,
        mode: event.entry.mode,
      })
    else if (event.type === 'data') last?.content?.push(Uint8Array.from(event.bytes))
  }
  for (let start = 0, turn = 0; start < archive.length; turn++) {
    const length = lengths[Math.min(turn, lengths.length - 1)] ?? 1
    for (const event of reader.push(archive.subarray(start, start + length))) take(event)
    start += length
  }
  reader.end()
  return items.map(({ path, content, mode }) => ({ path, mode, content: content && Buffer.concat(content) }))
}

export interface Raw {
  readonly name?: string | Uint8Array
  readonly mode?: number | string
  readonly uid?: number
  readonly gid?: number
  readonly size?: number | string
  readonly mtime?: number
  readonly kind?: string
  readonly link?: string
  readonly magic?: string
  readonly owner?: string
  readonly device?: string
  readonly prefix?: string
  readonly checksum?: string
}

/** A header block with any fields one likes and, unless said otherwise, the right checksum: made without the writer. */
export function rawHeader(raw: Raw): Buffer {
  const octal = (value: number | string, digits: number) =>
    typeof value === 'string' ? value : `${value.toString(8).padStart(digits, '0')}\0`
  const block = Buffer.alloc(512)
  block.set(Buffer.from(raw.name ?? 'a'), 0)
  block.write(octal(raw.mode ?? 0o644, 7), 100, 'latin1')
  block.write(octal(raw.uid ?? 0, 7), 108, 'latin1')
  block.write(octal(raw.gid ?? 0, 7), 116, 'latin1')
  block.write(octal(raw.size ?? 0, 11), 124, 'latin1')
  block.write(octal(raw.mtime ?? 0, 11), 136, 'latin1')
  block.write('        ', 148)
  block.write(raw.kind ?? '0', 156)
  block.write(raw.link ?? '', 157)
  block.write(raw.magic ?? 'ustar\x0000', 257, 'latin1')
  block.write(raw.owner ?? '', 265)
  block.write(raw.device ?? '0000000\x000000000\0', 329, 'latin1')
  block.write(raw.prefix ?? '', 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(raw.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** A PAX header with this body, and the block behind it. */
export function rawPax(body: string | Uint8Array, behind: Raw = {}): Buffer {
  const bytes = Buffer.from(body)
  const padded = Buffer.alloc(Math.ceil(bytes.length / 512) * 512)
  padded.set(bytes)
  return Buffer.concat([rawHeader({ name: 'PaxHeader', kind: 'x', size: bytes.length }), padded, rawHeader(behind)])
}

/** One PAX record with its length in front. */
export function paxRecord(key: string, value: string): string {
  for (let length = 1; ; length++) {
    const record = `${length} ${key}=${value}\n`
    if (Buffer.byteLength(record) === length) return record
  }
}
