// Mutations of bytes, and of JSON trees where the input is one: most of what matters lies behind a grammar that flipped bits rarely pass.
import type { Random } from './random.ts'

/** Longest input that is tried. */
export const MAX_INPUT_BYTES = 65_536

export interface Material {
  readonly form: 'json' | 'text' | 'bytes'
  readonly tokens: readonly string[]
  /** Other inputs, to splice with. */
  readonly others: readonly Uint8Array[]
}

/** A few mutations of this input, one after the other. */
export function mutate(random: Random, input: Uint8Array, material: Material): Uint8Array {
  const tree = material.form === 'json' && random.next(3) > 0 ? treeOf(input) : undefined
  let mutant = tree === undefined ? input : Buffer.from(mutateTree(random, tree, material))
  const rounds = tree === undefined ? 1 + random.next(4) : random.next(2)
  for (let round = 0; round < rounds; round++) {
    const change = random.pick(BYTE_CHANGES)
    mutant = change?.(random, mutant, material) ?? mutant
  }
  return mutant.subarray(0, MAX_INPUT_BYTES)
}

type ByteChange = (random: Random, input: Uint8Array, material: Material) => Uint8Array

const INTERESTING_BYTES = [
  0x00, 0x01, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x27, 0x2f, 0x5c, 0x7f, 0x80, 0xc0, 0xed, 0xef, 0xff,
]
const INTERESTING_TEXT = [
  ...['0', '-0', '-1', '1.0', '1e3', '9007199254740991', '9007199254740992', '1'.repeat(400)],
  ...['', '"', '\\', '\\u0000', '\\ud800', '\u202e', '\ufeff', '\u001b[31m', '😀', '\0', '../', '..', '//', '%2e%2e'],
  ...['__proto__', 'constructor', 'toString', 'null', 'true', '[]', '{}', '[[[[[[[[', '{"a":', '\r\n', '\n\n', '${A}'],
]

const BYTE_CHANGES: readonly ByteChange[] = [
  function flipBit(random, input) {
    const at = random.next(input.length)
    return edited(input, at, at + 1, [(input[at] ?? 0) ^ (1 << random.next(8))])
  },
  function setByte(random, input) {
    const at = random.next(input.length)
    return edited(input, at, at + 1, [random.pick(INTERESTING_BYTES) ?? 0])
  },
  function insertBytes(random, input) {
    const at = random.next(input.length + 1)
    return edited(input, at, at, random.bytes(1 + random.next(8)))
  },
  function insertToken(random, input, { tokens }) {
    const at = random.next(input.length + 1)
    return edited(input, at, at + (random.pick([0, 0, 1, 4, 16]) ?? 0), wordOf(random, tokens))
  },
  function removeRange(random, input) {
    const [from, to] = range(random, input)
    return edited(input, from, to, [])
  },
  function repeatRange(random, input) {
    const [from, to] = range(random, input)
    const times = random.pick([1, 1, 2, 8, 64, 4096]) ?? 1
    const part = Buffer.from(input.subarray(from, to))
    const room = Math.max(0, Math.floor((MAX_INPUT_BYTES - input.length) / Math.max(1, part.length)))
    return edited(input, to, to, Buffer.concat(Array(Math.min(times, room)).fill(part)))
  },
  function moveRange(random, input) {
    const [from, to] = range(random, input)
    const at = random.next(input.length + 1)
    return edited(input, at, at, input.subarray(from, to))
  },
  function truncate(random, input) {
    return input.subarray(0, random.next(input.length + 1))
  },
  function splice(random, input, { others }) {
    const other = random.pick(others) ?? input
    const [from, to] = range(random, other)
    const [start, end] = range(random, input)
    return edited(input, start, end, other.subarray(from, to))
  },
  function replaceNumber(random, input) {
    const text = Buffer.from(input).toString('latin1')
    const numbers = [...text.matchAll(/\d+/g)]
    const found = random.pick(numbers)
    if (found === undefined) return input
    const value = Buffer.from(random.pick(INTERESTING_TEXT.slice(0, 8)) ?? '0')
    return edited(input, found.index, found.index + found[0].length, value)
  },
]

function edited(input: Uint8Array, from: number, to: number, put: ArrayLike<number>): Uint8Array {
  return Buffer.concat([input.subarray(0, from), Uint8Array.from(put), input.subarray(Math.max(from, to))])
}

function range(random: Random, input: Uint8Array): readonly [number, number] {
  const from = random.next(input.length)
  const longest = random.pick([1, 4, 16, 64, 512, input.length]) ?? 1
  return [from, Math.min(input.length, from + 1 + random.next(longest))]
}

function wordOf(random: Random, tokens: readonly string[]): Uint8Array {
  return Buffer.from(random.pick([...tokens, ...INTERESTING_TEXT]) ?? '')
}

type Tree = null | boolean | number | string | Tree[] | { [name: string]: Tree }

function treeOf(input: Uint8Array): Tree | undefined {
  try {
    return JSON.parse(Buffer.from(input).toString('utf8'))
  } catch {
    return undefined
  }
}

/** JSON text of the tree with one to three nodes changed; now and then an object gets a name twice. */
function mutateTree(random: Random, tree: Tree, material: Material): string {
  let changed = tree
  for (let round = 0; round <= random.next(3); round++) changed = changeAt(random, changed, material)
  const text = JSON.stringify(changed)
  return random.next(20) === 0 ? text.replace(/"(\w+)":/, '"$1":0,"$1":') : text
}

/** Goes down by chance and changes the node where it stops. */
function changeAt(random: Random, tree: Tree, material: Material): Tree {
  if (typeof tree !== 'object' || tree === null || random.next(5) === 0) return replaced(random, tree, material)
  if (Array.isArray(tree)) {
    const at = random.next(tree.length)
    if (tree.length === 0 || random.next(6) === 0) return [...tree, ...repeated(random, tree[at] ?? null)]
    if (random.next(8) === 0) return tree.filter((_, index) => index !== at)
    return tree.map((item, index) => (index === at ? changeAt(random, item, material) : item))
  }
  const names = Object.keys(tree)
  const name = random.pick(names)
  if (name === undefined) return { [String(random.pick(material.tokens))]: leaf(random, material) }
  const kept = Object.entries(tree)
  switch (random.next(8)) {
    case 0:
      return Object.fromEntries(kept.filter(([known]) => known !== name))
    case 1:
      return Object.fromEntries([
        ...kept,
        [String(random.pick([...material.tokens, '__proto__', 'x'])), leaf(random, material)],
      ])
    case 2:
      return Object.fromEntries(kept.map(([known, value]) => [known === name ? `${known}x` : known, value]))
    default:
      return Object.fromEntries(
        kept.map(([known, value]) => [known, known === name ? changeAt(random, value, material) : value]),
      )
  }
}

function repeated(random: Random, item: Tree): Tree[] {
  return Array(random.pick([1, 1, 2, 20, 300]) ?? 1).fill(item)
}

function replaced(random: Random, tree: Tree, material: Material): Tree {
  if (typeof tree === 'number' && random.next(2) === 0) return tree + (random.pick([-1, 1, 1000, -tree, 2 ** 40]) ?? 0)
  if (typeof tree === 'string' && random.next(2) === 0) {
    const at = random.next(tree.length + 1)
    return `${tree.slice(0, at)}${random.pick([...material.tokens, ...INTERESTING_TEXT])}${tree.slice(at + random.next(4))}`
  }
  return leaf(random, material)
}

function leaf(random: Random, { tokens, others }: Material): Tree {
  switch (random.next(8)) {
    case 0:
      return null
    case 1:
      return random.next(2) === 0
    case 2:
      return random.pick([0, -1, 1, 2 ** 53 - 1, 2 ** 53, 1e21, 0.5, 86_400_000]) ?? 0
    case 3:
      return []
    case 4:
      // The second one is what a program stumbles over that asks everything for its length.
      return random.next(4) > 0 ? {} : { length: { valueOf: 1, toString: 1 } }
    case 5:
      return 'a'.repeat(random.pick([1, 64, 65, 257, 5000]) ?? 1)
    case 6:
      return treeOf(random.pick(others) ?? new Uint8Array()) ?? null
    default:
      return random.pick([...tokens, ...INTERESTING_TEXT]) ?? ''
  }
}
