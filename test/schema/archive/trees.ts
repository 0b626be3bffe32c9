import fc from 'fast-check'
import type { Item } from './archives.ts'

const name = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z0-9_.-]{1,12}$/) },
  { weight: 2, arbitrary: fc.constantFrom('grüße', '日本', '\u{1f600}', '\uffe0', 'a b', 'x'.repeat(90), '-', 'a!b') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }) },
)
const usable = name.filter((text) => !/[/\\\p{Cc}]|^\.{1,2}$|^[A-Za-z]:/u.test(text) && text.normalize('NFC') === text)
const path = fc.array(usable, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'))
const file = fc.record({ path, content: fc.uint8Array({ maxLength: 1300 }), mode: fc.constantFrom(0o644, 0o755) })

/** Sorted items that an archive may hold: files in folders, no two of whose names collide. */
export const archiveItems: fc.Arbitrary<Item[]> = fc.array(file, { maxLength: 12 }).map((files) => {
  const items = new Map<string, Item>()
  const taken = new Map<string, string>()
  for (const item of files) {
    const segments = item.path.split('/')
    const paths = segments.map((_, index) => segments.slice(0, index + 1).join('/'))
    const free = paths.every((prefix, index) => {
      const other = taken.get(fold(prefix))
      return (
        other === undefined ||
        (other === prefix && index < segments.length - 1 && items.get(prefix)?.content === undefined)
      )
    })
    if (!free) continue
    for (const prefix of paths) {
      taken.set(fold(prefix), prefix)
      if (!items.has(prefix)) items.set(prefix, prefix === item.path ? item : { path: prefix })
    }
  }
  return [...items.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
})

/** Coarser than the reader's own: whatever it takes for different, the reader does. */
function fold(text: string): string {
  return text.normalize('NFKD').toLowerCase().toUpperCase().toLowerCase().normalize('NFKD')
}
