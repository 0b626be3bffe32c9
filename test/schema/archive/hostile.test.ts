// Archives that somebody made by hand to get out of the staging folder, over other files, or past a check.
import { describe, expect, it, test } from 'vitest'
import type { ArchiveErrorCode } from '../../../schema/archive/archive-error.ts'
import { createArchiveReader } from '../../../schema/archive/reader.ts'
import { type Item, LIMITS, pack, paxRecord, type Raw, rawHeader, rawPax, read } from './archives.ts'

const END = Buffer.alloc(1024)
const alone = (raw: Raw) => Buffer.concat([rawHeader(raw), END])
const extended = (body: string | Uint8Array, behind?: Raw) => Buffer.concat([rawPax(body, behind), END])
const refuses = (archive: Uint8Array, code: ArchiveErrorCode, limits = LIMITS) =>
  expect(() => read(archive, undefined, limits)).toThrow(expect.objectContaining({ name: 'ArchiveError', code }))
const longName = `${'x'.repeat(120)}`

describe('a name', () => {
  test.each<[string, ArchiveErrorCode]>([
    ['../x', 'traversal'],
    ['a/../../x', 'traversal'],
    ['a/..', 'traversal'],
    ['..', 'traversal'],
    ['.', 'traversal'],
    ['./x', 'traversal'],
    ['./../x', 'traversal'],
    ['a/./b', 'traversal'],
    ['..\\x', 'traversal'],
    ['C:..\\x', 'absolute'],
    ['C:x', 'absolute'],
    ['c:/windows', 'absolute'],
    ['a/C:x', 'absolute'],
    ['a:b', 'absolute'],
    ['/etc/passwd', 'absolute'],
    ['//x', 'absolute'],
    ['', 'bad-name'],
    ['a//b', 'bad-name'],
    ['a/', 'bad-name'],
    ['a\\b', 'bad-name'],
    ['a\nb', 'bad-name'],
    ['a\tb', 'bad-name'],
    ['a\x1b[2Jb', 'bad-name'],
    ['a\x7f', 'bad-name'],
    ['a\u0085b', 'bad-name'],
    ['\u212a', 'bad-name'], // the Kelvin sign, whose composed form is K
  ])('%j is refused as %s', (name, code) => {
    refuses(alone({ name }), code)
  })

  test('a decomposed name is refused: some disks take it for its composed form', () => {
    refuses(alone({ name: 'cafe\u0301' }), 'bad-name')
  })

  test.each<[string, string | Uint8Array, ArchiveErrorCode]>([
    ['out of the folder', paxRecord('path', `../${longName}`), 'traversal'],
    ['to the root', paxRecord('path', `/${longName}`), 'absolute'],
    ['with a NUL', paxRecord('path', `a\0${longName}`), 'bad-name'],
    ['of 256 bytes in one part', paxRecord('path', 'x'.repeat(256)), 'bad-name'],
    ['of 256 bytes in one part of fewer characters', paxRecord('path', 'ü'.repeat(128)), 'bad-name'],
    ['of 4,097 bytes', paxRecord('path', Array.from({ length: 17 }, () => 'x'.repeat(241)).join('/')), 'bad-name'],
    ['of 5,000 bytes', paxRecord('path', 'x/'.repeat(2500)), 'bad-header'],
    [
      'that is not UTF-8',
      Buffer.concat([Buffer.from(`130 path=`), Buffer.from([0xff]), Buffer.from(`${longName.slice(1)}\n`)]),
      'bad-name',
    ],
  ])('in a PAX header %s is refused', (_what, body, code) => {
    refuses(extended(body), code)
  })

  it('not in UTF-8 is refused', () => {
    refuses(alone({ name: Buffer.from([0x61, 0xff]) }), 'bad-name')
    refuses(alone({ name: Buffer.from([0xed, 0xa0, 0x80]) }), 'bad-name') // half a surrogate pair
    refuses(alone({ name: Buffer.from([0xc0, 0xae, 0xc0, 0xae]) }), 'bad-name') // overlong `..`
  })

  test.each([
    'x',
    '.hidden',
    '...',
    '..a',
    'a..b',
    'ab:c',
    'a b',
    ' a',
    '~',
    '-rf',
    '$(id)',
    "'",
    '\u{1f600}',
    'é',
    '\ufeffbom',
    'x'.repeat(100),
  ])('%j is taken: the control of the above', (name) => {
    expect(read(alone({ name }))[0]?.path).toBe(name)
  })
})

describe('an entry', () => {
  test.each<[string, Raw, ArchiveErrorCode]>([
    ['a symbolic link', { kind: '2', link: '/etc/passwd' }, 'link'],
    ['a hard link', { kind: '1', link: '../x' }, 'link'],
    ['a character device', { kind: '3' }, 'device'],
    ['a block device', { kind: '4' }, 'device'],
    ['a pipe', { kind: '6' }, 'device'],
    ['a contiguous file', { kind: '7' }, 'bad-header'],
    ['a GNU long name', { kind: 'L', size: 512 }, 'bad-header'],
    ['a GNU long link', { kind: 'K' }, 'bad-header'],
    ['a GNU sparse file', { kind: 'S' }, 'bad-header'],
    ['a global PAX header', { kind: 'g' }, 'bad-header'],
    ['a file of the old kind', { kind: '\0' }, 'bad-header'],
    ['a folder without its slash', { kind: '5', mode: 0o755 }, 'bad-header'],
    ['a folder with a size', { kind: '5', name: 'a/', mode: 0o755, size: 512 }, 'bad-header'],
    ['a setuid program', { mode: 0o4755 }, 'mode'],
    ['a setgid program', { mode: 0o2755 }, 'mode'],
    ['a sticky file', { mode: 0o1644 }, 'mode'],
    ['a file that all may write', { mode: 0o666 }, 'mode'],
    ['a private file', { mode: 0o600 }, 'mode'],
    ['a folder of 0700', { kind: '5', name: 'a/', mode: 0o700 }, 'mode'],
    ['an owner', { uid: 1000 }, 'bad-header'],
    ['a group', { gid: 1000 }, 'bad-header'],
    ['an owner by name', { owner: 'root' }, 'bad-header'],
    ['a time', { mtime: 1 }, 'bad-header'],
    ['a link name of a file', { link: 'x' }, 'bad-header'],
    ['a device number of a file', { device: '0000001\x000000000\0' }, 'bad-header'],
    ['a name in two pieces', { prefix: 'evil' }, 'bad-header'],
    ['more behind the end of its name', { name: 'a\0b' }, 'bad-header'],
    ['GNU tar, not POSIX', { magic: 'ustar  \0' }, 'bad-header'],
    ['no magic', { magic: '' }, 'bad-header'],
    ['a wrong checksum', { checksum: '000000\0 ' }, 'bad-header'],
    ['a checksum in another spelling', { checksum: '  4723\0 ' }, 'bad-header'],
    ['a size in base 256', { size: '\x80\0\0\0\0\0\0\0\0\0\0\x01' }, 'bad-header'],
    ['a negative size', { size: '-0000000001\0' }, 'bad-header'],
    ['a size in another spelling', { size: '          1\0' }, 'bad-header'],
    ['a mode that is no number', { mode: 'rw-r--r\0' }, 'bad-header'],
  ])('that is %s is refused', (_what, raw, code) => {
    refuses(alone(raw), code)
  })

  it('as plain as these is taken: the control of the above', () => {
    expect(
      read(
        Buffer.concat([rawHeader({ kind: '5', name: 'a/', mode: 0o755 }), rawHeader({ name: 'b', mode: 0o755 }), END]),
      ),
    ).toHaveLength(2)
  })
})

describe('a PAX header', () => {
  const path = paxRecord('path', longName)
  const cut = { name: longName.slice(0, 100) }

  it('with a long path is taken: the control of the following', () => {
    expect(read(extended(path, cut))[0]?.path).toBe(longName)
  })

  test.each<[string, string | Uint8Array, Raw]>([
    ['a short path', paxRecord('path', 'short'), { name: 'short' }],
    ['another path than its block', path, { name: 'y'.repeat(100) }],
    ['a second path', path + paxRecord('path', `${longName}2`), cut],
    ['the wrong order', paxRecord('size', '8589934592') + path, cut],
    ['a capability', path + paxRecord('SCHILY.xattr.security.capability', 'x'), cut],
    ['a link path', paxRecord('linkpath', '/etc/passwd'), {}],
    ['a time', paxRecord('mtime', '1'), {}],
    ['a small size', paxRecord('size', '5'), { size: 5 }],
    ['a size that is none', paxRecord('size', '0x200000000'), {}],
    ['a size past exactness', paxRecord('size', '99999999999999999999'), {}],
    ['a length that lies', `9${path}`, cut],
    ['a length of nothing', '1 path=', cut],
    ['no line end', path.replace('\n', ' '), cut],
    ['rest behind it', `${path}\0`, cut],
    ['nothing', '', {}],
  ])('with %s is refused', (_what, body, behind) => {
    refuses(extended(body, behind), 'bad-header')
  })

  it('before another one, or of a mebibyte, is refused before anything of it is kept', () => {
    refuses(Buffer.concat([rawPax(path, { kind: 'x', size: 20 }), END]), 'bad-header')
    refuses(rawHeader({ kind: 'x', size: 1_048_576 }), 'bad-header')
  })

  it('is checked in its padding too', () => {
    const archive = extended(path, cut)
    archive[1023] = 1
    refuses(archive, 'bad-header')
  })
})

describe('a tree', () => {
  const empty = Buffer.alloc(0)
  const file = (path: string): Item => ({ path, content: empty })

  test.each<[string, Item[], ArchiveErrorCode]>([
    ['the same file twice', [file('a'), file('a')], 'duplicate'],
    ['a file and a folder of one name', [{ path: 'a' }, file('a')], 'duplicate'],
    ['two names that differ in case', [file('README'), file('readme')], 'collision'],
    ['two folders that differ in case', [{ path: 'Bin' }, file('Bin/x'), { path: 'bin' }], 'collision'],
    ['sharp s and ss', [file('strasse'), file('straße')], 'collision'],
    ['capital sharp s and ss', [file('ss'), file('ẞ')], 'collision'],
    ['two Greek sigmas', [file('ς'), file('σ')], 'collision'],
    ['a ligature and its letters', [file('fi'), file('ﬁ')], 'collision'],
    ['the wrong order', [file('b'), file('a')], 'unsorted'],
    ['the order of strings, not of bytes', [file('\u{1f600}'), file('\uffe0')], 'unsorted'],
    ['a file before its folder', [file('a/b'), { path: 'a' }], 'orphan'],
    ['a file without its folder', [file('a/b')], 'orphan'],
    ['a folder without its folder', [{ path: 'a/b' }], 'orphan'],
    ['a file below a file', [file('a'), file('a/b')], 'orphan'],
    ['a file in a folder of another case', [{ path: 'A' }, file('a/b')], 'orphan'],
  ])('with %s is refused', (_what, items, code) => {
    refuses(pack(items), code)
  })

  it('with folders first and near-misses is taken: the control of the above', () => {
    const items = [
      { path: 'A' },
      file('A/b'),
      { path: 'a-b' },
      { path: 'c' },
      file('c-d'),
      file('c/d'),
      file('\uffe0'),
      file('\u{1f600}'),
    ]
    expect(read(pack(items)).map(({ path }) => path)).toEqual(items.map(({ path }) => path))
  })
})

describe('limits', () => {
  const three: Item[] = ['a', 'b', 'c'].map((path) => ({ path, content: Buffer.alloc(100) }))

  it('hold for the number of entries', () => {
    expect(read(pack(three), undefined, { maxEntries: 3, maxBytes: 1000 })).toHaveLength(3)
    refuses(pack(three), 'too-many-entries', { maxEntries: 2, maxBytes: 1000 })
  })

  it('hold for the sum of bytes, at the header that breaks them', () => {
    expect(read(pack(three), undefined, { maxEntries: 3, maxBytes: 300 })).toHaveLength(3)
    refuses(pack(three), 'too-many-bytes', { maxEntries: 3, maxBytes: 299 })
    // A header that announces 8 GiB is enough: nobody waits for the body.
    refuses(rawHeader({ size: 8_589_934_591 }), 'too-many-bytes')
  })
})

describe('the end', () => {
  const archive = pack([{ path: 'a', content: Buffer.from('hello') }])

  test.each([0, 1, 511, 512, 514, 517, 600, 1023, 1024, 1536, 2047])(
    'missing after %i bytes is a truncation',
    (length) => {
      expect(archive).toHaveLength(2048)
      refuses(archive.subarray(0, length), 'truncated')
    },
  )

  it('is not followed by anything', () => {
    refuses(Buffer.concat([archive, Buffer.alloc(1)]), 'trailing')
    refuses(Buffer.concat([archive, archive]), 'trailing')
    refuses(Buffer.concat([archive, Buffer.alloc(8192)]), 'trailing') // GNU tar's blocking
  })

  it('is two blocks of zeros', () => {
    refuses(Buffer.concat([Buffer.alloc(512), archive]), 'bad-header')
  })

  it('of a file is followed by zeros', () => {
    const dirty = Buffer.from(archive)
    dirty[600] = 1
    refuses(dirty, 'bad-padding')
  })
})

describe('a reader that refused', () => {
  it('goes on refusing', () => {
    const reader = createArchiveReader(LIMITS)
    expect(() => reader.push(rawHeader({ kind: '2' }))).toThrow(/symbolic link/)
    expect(() => reader.push(rawHeader({ name: 'b' }))).toThrow(/symbolic link/)
    expect(() => reader.end()).toThrow(/symbolic link/)
  })
})
