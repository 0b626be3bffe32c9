import { createHash } from 'node:crypto'
import { sha256 } from '@noble/hashes/sha2.js'
import { describe, expect, it, test } from 'vitest'
import { type TreeEntry, treeDigest } from '../../../schema/archive/tree-digest.ts'

const content = 'a'.repeat(64)
const tree: TreeEntry[] = [
  { path: 'bin', type: 'directory', mode: 0o755, size: 0, sha256: null },
  { path: 'bin/app', type: 'file', mode: 0o755, size: 8, sha256: content },
]
const digest = (entries: readonly TreeEntry[]) => treeDigest(entries, createHash('sha256'))

describe('the digest of a tree', () => {
  it('is the hash of one line an entry', () => {
    const text = `netlink.tree/v1\ndirectory 0755 bin\nfile 0755 8 ${content} bin/app\n`
    expect(digest(tree)).toBe(createHash('sha256').update(text).digest('hex'))
  })

  it('is the same with another hash function of that kind', () => {
    expect(treeDigest(tree, sha256.create())).toBe(digest(tree))
  })

  test.each<[string, Partial<TreeEntry>]>([
    ['name', { path: 'bin/apq' }],
    ['mode', { mode: 0o644 }],
    ['size', { size: 9 }],
    ['content', { sha256: 'b'.repeat(64) }],
    ['kind', { type: 'directory', size: 0, sha256: null }],
  ])('changes with the %s', (_what, change) => {
    expect(digest(tree.map((entry, index) => (index === 1 ? { ...entry, ...change } : entry)))).not.toBe(digest(tree))
  })

  it('is refused of a tree that no archive holds', () => {
    const refuse = (entries: TreeEntry[], code: string) =>
      expect(() => digest(entries)).toThrow(expect.objectContaining({ name: 'ArchiveError', code }))
    refuse([...tree].reverse(), 'orphan')
    refuse([...tree, ...tree], 'unsorted')
    refuse(
      tree.map((entry) => ({ ...entry, sha256: null })),
      'bad-header',
    )
    refuse(
      tree.map((entry) => ({ ...entry, mode: 0o777 })),
      'mode',
    )
  })
})
