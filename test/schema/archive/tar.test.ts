import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { ArchiveError } from '../../../schema/archive/archive-error.ts'
import { comparePaths } from '../../../schema/archive/entry.ts'
import { createArchiveReader } from '../../../schema/archive/reader.ts'
import { TAR_END, tarHeader, tarPadding } from '../../../schema/archive/tar.ts'
import { type Item, LIMITS, pack, rawHeader, read } from './archives.ts'
import { archiveItems } from './trees.ts'

const bytes = (text: string) => Buffer.from(text)
const long = `${'d'.repeat(60)}/${'f'.repeat(60)}`
const tree: Item[] = [
  { path: 'bin' },
  { path: 'bin/app', content: bytes('#!/bin/sh\n'), mode: 0o755 },
  { path: 'd'.repeat(60) },
  { path: long, content: bytes('long') },
  { path: 'empty', content: bytes('') },
  { path: 'grüße.txt', content: bytes('hallo\n') },
]

describe('the writer', () => {
  it('writes a header of known bytes', () => {
    const header = Buffer.from(tarHeader({ path: 'bin/app', type: 'file', mode: 0o755, size: 10 }))
    expect(header.toString('latin1').replaceAll('\0', '.')).toBe(
      `bin/app${'.'.repeat(93)}0000755.0000000.0000000.00000000012.00000000000.010454. 0${'.'.repeat(100)}ustar.00${'.'.repeat(64)}0000000.0000000.${'.'.repeat(167)}`,
    )
  })

  it('writes an archive of known bytes', () => {
    expect(createHash('sha256').update(pack(tree)).digest('hex')).toBe(GOLDEN_TREE_SHA256)
  })

  it('writes what GNU tar lists', () => {
    const listed = execFileSync('tar', ['--utc', '--numeric-owner', '--quoting-style=literal', '-tvf', '-'], {
      input: pack(tree),
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    })
    const lines = String(listed)
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '))
    expect(lines).toEqual([
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 bin/',
      '-rwxr-xr-x 0/0 10 1970-01-01 00:00 bin/app',
      `drwxr-xr-x 0/0 0 1970-01-01 00:00 ${'d'.repeat(60)}/`,
      `-rw-r--r-- 0/0 4 1970-01-01 00:00 ${long}`,
      '-rw-r--r-- 0/0 0 1970-01-01 00:00 empty',
      '-rw-r--r-- 0/0 6 1970-01-01 00:00 grüße.txt',
    ])
  })

  it('writes what Python reads, sizes over 8 GiB included', () => {
    const huge = tarHeader({ path: 'huge', type: 'file', mode: 0o644, size: 8_589_934_592 })
    const input = Buffer.concat([pack(tree).subarray(0, -1024), huge])
    const script =
      'import sys,tarfile\nt=tarfile.open(fileobj=sys.stdin.buffer,mode="r|")\nfor m in t:\n print(m.name,m.size,oct(m.mode),m.mtime,m.uid,flush=True)\n if m.size>9**9: break'
    const lines = String(
      execFileSync('python3', ['-c', script], { input, env: { ...process.env, PYTHONIOENCODING: 'utf-8' } }),
    )
      .trim()
      .split('\n')
    expect(lines.at(-1)).toBe('huge 8589934592 0o644 0 0')
    expect(lines).toContain(`${long} 4 0o644 0 0`)
  })

  test.each([
    [100, 512],
    [101, 1536],
  ])('needs a PAX header for names over 100 bytes only: %i', (length, header) => {
    expect(tarHeader({ path: 'x'.repeat(length), type: 'file', mode: 0o644, size: 0 })).toHaveLength(header)
    expect(tarHeader({ path: 'x'.repeat(length - 1), type: 'directory', mode: 0o755, size: 0 })).toHaveLength(header)
  })

  test.each([
    [8_589_934_591, 512],
    [8_589_934_592, 1536],
    [Number.MAX_SAFE_INTEGER, 1536],
  ])('needs one for sizes from 8 GiB only: %i', (size, length) => {
    const header = tarHeader({ path: 'x', type: 'file', mode: 0o644, size })
    expect(header).toHaveLength(length)
    const reader = createArchiveReader({ maxEntries: 1, maxBytes: Number.MAX_SAFE_INTEGER })
    expect(reader.push(header)).toEqual([{ type: 'entry', entry: { path: 'x', type: 'file', mode: 0o644, size } }])
  })

  it('agrees with a header made by hand', () => {
    expect(Buffer.from(tarHeader({ path: 'a', type: 'file', mode: 0o644, size: 3 }))).toEqual(
      rawHeader({ name: 'a', size: 3 }),
    )
    expect(Buffer.from(tarHeader({ path: 'a', type: 'directory', mode: 0o755, size: 0 }))).toEqual(
      rawHeader({ name: 'a/', kind: '5', mode: 0o755 }),
    )
  })

  it('pads to the next block', () => {
    expect([0, 1, 511, 512, 513].map((size) => tarPadding(size).length)).toEqual([0, 511, 1, 0, 511])
    expect(TAR_END).toEqual(new Uint8Array(1024))
  })

  test.each([
    ['a mode that no archive holds', { mode: 0o600 }, 'mode'],
    ['a setuid bit', { mode: 0o4755 }, 'mode'],
    ['a way out', { path: '../x' }, 'traversal'],
    ['half a surrogate pair', { path: 'x\ud800' }, 'bad-name'],
    ['a broken size', { size: 1.5 }, 'bad-header'],
    ['a negative size', { size: -1 }, 'bad-header'],
    ['a folder with content', { type: 'directory', mode: 0o755, size: 1 }, 'bad-header'],
  ] as const)('refuses %s', (_what, change, code) => {
    const good = { path: 'x', type: 'file', mode: 0o644, size: 1 } as const
    expect(tarHeader(good)).toHaveLength(512)
    expect(() => tarHeader({ ...good, ...change })).toThrow(expect.objectContaining({ name: 'ArchiveError', code }))
  })
})

describe('writer and reader', () => {
  it('agree on every tree, however the archive is cut into chunks', () => {
    fc.assert(
      fc.property(
        archiveItems,
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 6 }),
        (items, lengths) => {
          expect(read(pack(items), lengths).map(plain)).toEqual(items.map(plain))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('agree byte by byte', () => {
    expect(read(pack(tree), [1]).map(plain)).toEqual(tree.map(plain))
  })

  it('hand bodies on as views into the chunk', () => {
    const archive = pack([{ path: 'a', content: Buffer.alloc(3000, 7) }])
    const views = createArchiveReader(LIMITS)
      .push(archive)
      .flatMap((event) => (event.type === 'data' ? [event.bytes] : []))
    expect(views).toHaveLength(1)
    expect(views[0]?.buffer).toBe(archive.buffer)
    expect(views[0]?.byteOffset).toBe(archive.byteOffset + 512)
  })
})

function plain({ path, content, mode }: Item) {
  return { path, mode: mode ?? (content ? 0o644 : 0o755), content: content && Buffer.from(content).toString('hex') }
}

describe('the order of paths', () => {
  it('is that of their UTF-8 bytes, also where JavaScript orders otherwise', () => {
    expect(comparePaths('a/b', 'a-b')).toBe(1)
    expect(comparePaths('a', 'a')).toBe(0)
    expect('\u{1f600}' < '\uffe0').toBe(true)
    expect(comparePaths('\u{1f600}', '\uffe0')).toBe(1)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(comparePaths(a, b)).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a mutated archive', () => {
  it('is refused with ArchiveError, or is byte for byte what the writer writes for what it says', () => {
    const change = fc.record({
      at: fc.nat(),
      kind: fc.constantFrom('set', 'flip', 'cut', 'insert', 'repeat', 'swap'),
      value: fc.nat(255),
      size: fc.nat(1500),
    })
    const counts = { refused: 0, accepted: 0 }
    fc.assert(
      fc.property(archiveItems, fc.array(change, { minLength: 1, maxLength: 4 }), (items, changes) => {
        const mutated = changes.reduce(mutate, pack(items))
        const said = readOrRefusal(mutated)
        if (said instanceof ArchiveError) counts.refused += 1
        else {
          counts.accepted += 1
          expect(pack(said).equals(mutated)).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
    expect(counts.refused).toBeGreaterThan(500)
    expect(counts.accepted).toBeGreaterThan(3)
  })

  it('with one bit of a header changed is refused, whichever bit', () => {
    const archive = pack([{ path: 'bin' }, { path: 'bin/app', content: bytes('x'), mode: 0o755 }])
    for (let bit = 0; bit < 1024 * 8; bit++) {
      const mutated = Buffer.from(archive)
      mutated[bit >> 3] = (mutated[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(readOrRefusal(mutated), `bit ${bit}`).toBeInstanceOf(ArchiveError)
    }
  })
})

/** Anything else than ArchiveError is a crash and gets through. */
function readOrRefusal(archive: Buffer): Item[] | ArchiveError {
  try {
    return read(archive)
  } catch (error) {
    if (error instanceof ArchiveError) return error
    throw error
  }
}

function mutate(
  archive: Buffer,
  { at, kind, value, size }: { at: number; kind: string; value: number; size: number },
): Buffer {
  const offset = at % archive.length
  const copy = Buffer.from(archive)
  const [head, tail] = [copy.subarray(0, offset), copy.subarray(offset)]
  if (kind === 'set') copy[offset] = value
  if (kind === 'flip') copy[offset] = (copy[offset] ?? 0) ^ (1 << (value % 8))
  if (kind === 'cut') return Buffer.concat([head, tail.subarray(size)])
  if (kind === 'insert') return Buffer.concat([head, Buffer.alloc(size, value), tail])
  if (kind === 'repeat') return Buffer.concat([head, tail.subarray(0, size), tail])
  if (kind === 'swap') {
    const block = Math.floor(offset / 512) * 512
    return Buffer.concat([copy.subarray(block), copy.subarray(0, block)])
  }
  return copy
}

const GOLDEN_TREE_SHA256 = '1e05347210753863cabb95f3690b81cd40e147186c141591274eab6da80a1e72'
