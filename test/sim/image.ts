// What a disk holds, as data: nodes by number, and the operations that change them. The simulated disk keeps two images, what programs see and
// what is safe, and the list of operations that are in the first and not yet in the second.

export type Node = FileNode | FolderNode | LinkNode
export interface FileNode {
  readonly kind: 'file'
  readonly mode: number
  /** Never changed in place, so images can share it. */
  readonly data: Uint8Array
}
export interface FolderNode {
  readonly kind: 'directory'
  readonly mode: number
  readonly entries: ReadonlyMap<string, number>
}
export interface LinkNode {
  readonly kind: 'symlink'
  readonly mode: number
  readonly target: string
}

export type Image = Map<number, Node>

const changes = new WeakMap<Node, bigint>()
let newest = 0n

/** When this node became what it is: a number that only grows. A change makes another node. */
export function changedNs(node: Node): bigint {
  const known = changes.get(node)
  if (known !== undefined) return known
  changes.set(node, ++newest)
  return newest
}

function put(image: Image, number: number, node: Node): void {
  changedNs(node)
  image.set(number, node)
}
export const ROOT = 1

export type DataOp =
  | { readonly kind: 'write'; readonly node: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly node: number; readonly length: number }
  | { readonly kind: 'chmod'; readonly node: number; readonly mode: number }

/** `folder` is the one whose sync makes it safe; `node` what the name leads to. A rename is one operation in any journal, also between two folders. */
export type NameOp =
  | { readonly kind: 'enter'; readonly folder: number; readonly name: string; readonly node: number }
  | { readonly kind: 'leave'; readonly folder: number; readonly name: string; readonly node: number }
  | {
      readonly kind: 'rename'
      readonly folder: number
      readonly name: string
      readonly node: number
      readonly fromFolder: number
      readonly fromName: string
    }

export type Op = DataOp | NameOp

export function isNameOp(op: Op): op is NameOp {
  return op.kind === 'enter' || op.kind === 'leave' || op.kind === 'rename'
}

/** An image with nothing but its root folder. */
export function emptyImage(): Image {
  return new Map([[ROOT, { kind: 'directory', mode: 0o755, entries: new Map() }]])
}

/** Changes the image. An operation whose object went another way (its neighbours were lost) changes what it can. */
export function apply(image: Image, op: Op): void {
  switch (op.kind) {
    case 'write': {
      const file = fileOf(image, op.node)
      const data = new Uint8Array(Math.max(file.data.length, op.offset + op.bytes.length))
      data.set(file.data)
      data.set(op.bytes, op.offset)
      put(image, op.node, { ...file, data })
      return
    }
    case 'truncate': {
      const file = fileOf(image, op.node)
      const data = new Uint8Array(op.length)
      data.set(file.data.subarray(0, op.length))
      put(image, op.node, { ...file, data })
      return
    }
    case 'chmod': {
      const node = image.get(op.node)
      if (node) put(image, op.node, { ...node, mode: op.mode })
      return
    }
    case 'enter':
      changeEntries(image, op.folder, (entries) => entries.set(op.name, op.node))
      return
    case 'leave':
      changeEntries(image, op.folder, (entries) => forget(entries, op.name, op.node))
      return
    case 'rename':
      changeEntries(image, op.fromFolder, (entries) => forget(entries, op.fromName, op.node))
      changeEntries(image, op.folder, (entries) => entries.set(op.name, op.node))
      return
  }
}

function forget(entries: Map<string, number>, name: string, node: number): void {
  if (entries.get(name) === node) entries.delete(name)
}

function fileOf(image: Image, node: number): FileNode {
  const file = image.get(node)
  if (file?.kind !== 'file') throw new Error(`node ${node} is not a file`)
  return file
}

function changeEntries(image: Image, folder: number, change: (entries: Map<string, number>) => void): void {
  const node = image.get(folder)
  if (node?.kind !== 'directory') throw new Error(`node ${folder} is not a folder`)
  const entries = new Map(node.entries)
  change(entries)
  put(image, folder, { ...node, entries })
}

/** Every node that can be reached from `top`, itself included. */
export function reachable(image: Image, top: number): Set<number> {
  const seen = new Set<number>()
  const walk = (number: number) => {
    if (seen.has(number)) return
    seen.add(number)
    const node = image.get(number)
    if (node?.kind === 'directory') for (const child of node.entries.values()) walk(child)
  }
  walk(top)
  return seen
}

/** The image as lines, to read and to compare: `/etc/` a folder, `/a = text` a file, `/b -> target` a symlink, each with its mode where it is unusual. */
export function describeImage(image: Image): string[] {
  const lines: string[] = []
  const walk = (number: number, path: string) => {
    const node = image.get(number)
    if (node?.kind === 'file')
      lines.push(`${path} = ${Buffer.from(node.data).toString('latin1')} (${node.mode.toString(8)})`)
    if (node?.kind === 'symlink') lines.push(`${path} -> ${node.target}`)
    if (node?.kind !== 'directory') return
    lines.push(`${path}/ (${node.mode.toString(8)})`)
    for (const [name, child] of [...node.entries].sort(([a], [b]) => (a < b ? -1 : 1))) walk(child, `${path}/${name}`)
  }
  walk(ROOT, '')
  return lines
}

/** A number generator that gives the same numbers for the same seed (mulberry32): uniform in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Sets of pending operations that a power cut may let through, each with its name: the extremes, then `samples` rolls of the dice. */
export function possibleSurvivors(pending: readonly Op[], seed: number, samples: number): [string, readonly Op[]][] {
  const random = seeded(seed)
  const sample = (_: unknown, index: number): [string, readonly Op[]] => [
    `sample ${index + 1} of seed ${seed} survived`,
    sampleSurvivors(pending, random),
  ]
  return [
    ['nothing un-synced survived', []],
    ['everything survived', pending],
    ['only names survived', pending.filter(isNameOp)],
    ['only data survived', pending.filter((op) => !isNameOp(op))],
    ...Array.from({ length: samples }, sample),
  ]
}

/**
 * The earlier pending name operations that no disk can leave out once it has done number `index`: the one that gave the name which it takes away, and
 * the one that freed the name which it takes. Without them a file would be back under a name it lost, or be under none.
 */
function neededBy(pending: readonly Op[], index: number): Op[] {
  const op = pending[index]
  if (!op || !isNameOp(op)) return []
  const earlier = pending.slice(0, index).filter(isNameOp)
  const lost = nameLost(op)
  const needed = [
    lost && earlier.findLast((one) => one.node === op.node && isSame(nameTaken(one), lost)),
    earlier.findLast((one) => isSame(nameLost(one), nameTaken(op))),
  ]
  return needed.filter((one) => one !== undefined)
}

interface Name {
  readonly folder: number
  readonly name: string
}

function nameTaken(op: NameOp): Name | undefined {
  return op.kind === 'leave' ? undefined : op
}

function nameLost(op: NameOp): Name | undefined {
  if (op.kind === 'rename') return { folder: op.fromFolder, name: op.fromName }
  return op.kind === 'leave' ? op : undefined
}

function isSame(one: Name | undefined, other: Name | undefined): boolean {
  return one !== undefined && one.folder === other?.folder && one.name === other.name
}

/** What a sync makes safe: the pending operations that it covers, and those without which they can't be. */
export function savedBySync(pending: readonly Op[], covers: (op: Op) => boolean): Op[] {
  const saved = new Set(pending.filter(covers))
  for (let index = pending.length - 1; index >= 0; index--) {
    const op = pending[index]
    if (op && saved.has(op)) for (const needed of neededBy(pending, index)) saved.add(needed)
  }
  return pending.filter((op) => saved.has(op))
}

/**
 * Which of the pending operations a power cut lets through, for one roll of the dice. Half of the rolls keep a beginning of the list (a disk that
 * works in order), half any subset (one that does not). A write may come through in part, or as a length without its bytes.
 * What happened to one node's names stays in order: a file that never got its first name does not get its second. Nor does a file get a name that
 * another one, for all this disk knows, still has.
 */
function sampleSurvivors(pending: readonly Op[], random: () => number): Op[] {
  if (random() < 0.5) {
    const cut = Math.floor(random() * (pending.length + 1))
    const torn = pending[cut]
    return torn?.kind === 'write' ? [...pending.slice(0, cut), tear(torn, random)] : pending.slice(0, cut)
  }
  const chance = random()
  const nameless = new Set<number>()
  const lost = new Set<Op>()
  return pending.flatMap((op, index): Op[] => {
    const isKept = random() < chance
    if (isNameOp(op)) {
      if (!isKept || neededBy(pending, index).some((one) => lost.has(one))) nameless.add(op.node)
      if (!nameless.has(op.node)) return [op]
      lost.add(op)
      return []
    }
    if (op.kind === 'write' && random() < 0.3) return [tear(op, random)]
    return isKept ? [op] : []
  })
}

function tear(op: DataOp & { kind: 'write' }, random: () => number): DataOp {
  if (random() < 0.3) return { ...op, bytes: new Uint8Array(op.bytes.length) }
  return { ...op, bytes: op.bytes.subarray(0, Math.floor(random() * (op.bytes.length + 1))) }
}
