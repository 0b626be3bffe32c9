// The one way in which a release becomes bytes: a tar archive that every tar program reads and that is the same wherever it is made.
//
//   for each entry in ascending order of path bytes:   tarHeader(entry)  the file's bytes  tarPadding(entry.size)
//   at the end:                                        TAR_END
//
// POSIX ustar; a PAX header stands before an entry only where ustar's fields are too short (name over 100 bytes, size from 8 GiB).
// Time, owner and group are 0. Folders end in `/`. Nothing else can be expressed, and the reader (reader.ts) accepts nothing else.
import { type ArchiveEntry, checkEntry } from './entry.ts'

export const BLOCK_BYTES = 512
const NAME_BYTES = 100
/** Eleven octal digits. */
const MAX_USTAR_SIZE = 0o77777777777
/** Longest body of a PAX header: the longest path and the longest size, each with its label and length. */
export const MAX_PAX_BYTES = 4608

/** Ends an archive: two blocks of zeros. Never write into it. */
export const TAR_END = new Uint8Array(2 * BLOCK_BYTES)

/** What fills the last block of a file of `size` bytes: 0 to 511 zeros. Never write into it. */
export function tarPadding(size: number): Uint8Array {
  return TAR_END.subarray(0, paddingBytes(size))
}

/** How many bytes lie between the end of `size` bytes and the next block. */
export function paddingBytes(size: number): number {
  const used = size % BLOCK_BYTES
  return used === 0 ? 0 : BLOCK_BYTES - used
}

/** The header of an entry, 512 bytes or, with a PAX header, a greater multiple. Throws ArchiveError if an archive may not hold the entry. */
export function tarHeader(entry: ArchiveEntry): Uint8Array {
  checkEntry(entry)
  const name = encoder.encode(entry.type === 'directory' ? `${entry.path}/` : entry.path)
  const kind = entry.type === 'directory' ? '5' : '0'
  if (name.length <= NAME_BYTES && entry.size <= MAX_USTAR_SIZE) {
    const block = new Uint8Array(BLOCK_BYTES)
    writeBlock(block, { name, mode: entry.mode, size: entry.size, kind })
    return block
  }
  const records = paxRecords(name, entry.size)
  const bodyBytes = records.length + paddingBytes(records.length)
  const header = new Uint8Array(2 * BLOCK_BYTES + bodyBytes)
  writeBlock(header.subarray(0, BLOCK_BYTES), { name: PAX_NAME, mode: 0o644, size: records.length, kind: 'x' })
  header.set(records, BLOCK_BYTES)
  writeBlock(header.subarray(BLOCK_BYTES + bodyBytes), {
    name: name.subarray(0, NAME_BYTES),
    mode: entry.mode,
    size: entry.size > MAX_USTAR_SIZE ? 0 : entry.size,
    kind,
  })
  return header
}

const encoder = new TextEncoder()
const PAX_NAME = encoder.encode('PaxHeader')

/** POSIX pax 4.18.2: `LENGTH key=value\n`, the length counting itself. */
function paxRecords(name: Uint8Array, size: number): Uint8Array {
  const records: Uint8Array[] = []
  if (name.length > NAME_BYTES) records.push(paxRecord('path', name))
  if (size > MAX_USTAR_SIZE) records.push(paxRecord('size', encoder.encode(String(size))))
  return joinBytes(records)
}

function paxRecord(key: string, value: Uint8Array): Uint8Array {
  const rest = 1 + key.length + 1 + value.length + 1
  let length = rest + 1
  while (String(length).length + rest !== length) length = String(length).length + rest
  return joinBytes([encoder.encode(`${length} ${key}=`), value, encoder.encode('\n')])
}

function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

interface Fields {
  readonly name: Uint8Array
  readonly mode: number
  readonly size: number
  readonly kind: '0' | '5' | 'x'
}

/** POSIX ustar: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, checksum 148, kind 156, magic 257, device 329 and 337. */
function writeBlock(block: Uint8Array, { name, mode, size, kind }: Fields): void {
  block.set(TEMPLATE)
  block.set(name)
  block[156] = kind.charCodeAt(0)
  const sum = sumBytes(name) + kind.charCodeAt(0) + writeOctal(block, 100, 7, mode) + writeOctal(block, 124, 11, size)
  writeOctal(block, 148, 6, TEMPLATE_SUM + sum)
  block[154] = 0 // the checksum is six digits, a NUL and the space that is there already
}

/** What all headers have in common; the checksum counts as spaces while it is computed. */
const TEMPLATE = (() => {
  const block = new Uint8Array(BLOCK_BYTES)
  const write = (offset: number, text: string) => block.set(encoder.encode(text), offset)
  write(108, '0000000\x000000000\0')
  write(136, '00000000000\0')
  write(148, '        ')
  write(257, 'ustar\x0000')
  write(329, '0000000\x000000000\0')
  return block
})()

const TEMPLATE_SUM = sumBytes(TEMPLATE)

function sumBytes(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i++) sum += bytes[i] ?? 0
  return sum
}

/** Writes the digits where there are zeros, and returns by how much they raise the checksum. */
function writeOctal(block: Uint8Array, offset: number, digits: number, value: number): number {
  let rest = value
  let sum = 0
  for (let i = offset + digits - 1; i >= offset; i--) {
    const digit = 48 + (rest % 8)
    block[i] = digit
    sum += digit
    rest = Math.floor(rest / 8)
  }
  return sum
}
