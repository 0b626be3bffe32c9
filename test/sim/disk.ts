// A disk in memory that can lose power.
//
//   const disk = createSimDisk({ files: { '/etc/app': 'old' } })
//   disk.cutAt(3)                                      // the third effect is asked for and never answered
//   await expect(replaceFile(disk, …)).rejects.toThrow(PowerCut)
//   for (const { disk: after, words } of disk.afterCut({ seed: 1, samples: 20 })) …   // every kind of thing that may be there now
//
// What programs see and what is safe are two things. Bytes become safe by `sync` of their file, names by `syncDir` of their folder, and neither by
// the other (`names: 'any-sync'` is the kinder ext4, where any sync flushes the whole journal). At a cut everything in between may be lost, kept,
// torn or reordered, but a rename is one operation: a file is never under both names, nor under none. A failed sync loses for good what it was to save, even if a later sync says yes.
//
// Every call that changes or syncs something is one effect, counted from 1; `removeTree` is one effect for each thing it removes.
import { basename, dirname, join, resolve } from 'node:path'
import type { Appender, DirEntry, Disk, FileWriter, Reader } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import {
  apply,
  changedNs,
  describeImage,
  emptyImage,
  type Image,
  isNameOp,
  type Node,
  type Op,
  possibleSurvivors,
  ROOT,
  reachable,
} from './image.ts'
import { type State, startPower, usedBytes } from './power.ts'
import { entriesOf, exists, factsOf, lookup, parentOf, refuse, refuseReplacement } from './walk.ts'

export interface SimDiskOptions {
  /** What is there and safe at the start, by absolute path; folders are made as needed. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** When a name is safe: by `syncDir` of its folder only (the default), or by any sync of anything. */
  readonly names?: 'strict' | 'any-sync'
  /** What fits; no limit unless said otherwise. Writes beyond it end in the middle, with ENOSPC. */
  readonly capacityBytes?: number
  /** Who owns everything; 0 unless said otherwise. */
  readonly uid?: number
}

export interface Failure {
  readonly errno: 'EIO' | 'ENOSPC' | 'EACCES' | 'EROFS'
  /** Once, or from then on: for ENOSPC every effect that needs room, otherwise every effect. */
  readonly lasting?: boolean
}

export interface SimDisk extends Disk {
  /** How many effects there were. */
  readonly effects: number
  /** What they were, the first one at index 0: `rename /a -> /b`. */
  readonly log: readonly string[]
  /** Whether the power has gone. */
  readonly isCut: boolean
  /** Cuts the power when effect number `n` is asked for. The caller gets a PowerCut, or with `freeze` no answer ever, as in life. */
  cutAt(n: number, manner?: 'throw' | 'freeze'): void
  /** Resolves at the cut. */
  readonly cut: Promise<void>
  failAt(n: number, failure: Failure): void
  /** Makes everything safe that was done so far, and counts from 0 again. */
  settle(): void
  /** What may be there after a power cut now, every possibility once: the extremes first, then `samples` rolls of the dice. */
  afterCut(options: { readonly seed: number; readonly samples: number }): AfterCut[]
  /** A disk of its own with the same content: what was not synced is there, and still not safe. What the next process finds after a `kill -9`. */
  fork(): SimDisk
  /** Everything a program can see, as lines. */
  describe(): string[]
}

export interface AfterCut {
  readonly words: string
  readonly disk: SimDisk
}

/** A new disk; folders along `files` are 0755, files 0644. */
export function createSimDisk(options: SimDiskOptions = {}): SimDisk {
  const start: State = { seen: emptyImage(), safe: emptyImage(), pending: [], next: ROOT + 1 }
  for (const [path, content] of Object.entries(options.files ?? {})) place(start, resolve('/', path), content)
  return diskOver({ ...start, safe: new Map(start.seen) }, options)
}

function place(state: State, path: string, content: string | Uint8Array): void {
  let folder = ROOT
  for (const name of dirname(path).split('/').filter(Boolean)) {
    const known = entriesOf(state.seen, folder).get(name)
    const node = known ?? state.next++
    if (known === undefined) {
      state.seen.set(node, { kind: 'directory', mode: 0o755, entries: new Map() })
      apply(state.seen, { kind: 'enter', folder, name, node })
    }
    folder = node
  }
  const node = state.next++
  const data = typeof content === 'string' ? Buffer.from(content) : content
  state.seen.set(node, { kind: 'file', mode: 0o644, data })
  apply(state.seen, { kind: 'enter', folder, name: basename(path), node })
}

function diskOver(state: State, options: SimDiskOptions): SimDisk {
  const power = startPower(state, options)
  const { alive, effect, syncEffect } = power
  const isSaved = (own: (op: Op) => boolean) => (op: Op) => own(op) || (options.names === 'any-sync' && isNameOp(op))

  const allocate = (node: Node): number => {
    const number = state.next++
    changedNs(node)
    state.seen.set(number, node)
    state.safe.set(number, node)
    return number
  }
  const find = (path: string, last: 'follow' | 'stay') => lookup(state.seen, path, last)
  const place = (path: string) => parentOf(state.seen, path)
  const vacant = (path: string) => {
    const { folder, name } = place(path)
    if (entriesOf(state.seen, folder).has(name)) throw refuse('EEXIST', path)
    return { folder, name }
  }
  const enter = (words: string, path: string, node: () => Node) =>
    effect(`${words} ${path}`, path, true, () => {
      const { folder, name } = vacant(path)
      return [{ kind: 'enter', folder, name, node: allocate(node()) }]
    })
  const contentOf = (number: number, path: string): Uint8Array => {
    const node = state.seen.get(number)
    if (node?.kind === 'file') return node.data
    throw new PlatformError('io', `${path}: expected a regular file`, { path })
  }
  const write = (number: number, path: string, bytes: Uint8Array | readonly Uint8Array[]) => {
    const whole = Buffer.concat(bytes instanceof Uint8Array ? [bytes] : bytes)
    return effect(`write ${path} (${whole.length} bytes)`, path, true, () => [
      { kind: 'write', node: number, offset: contentOf(number, path).length, bytes: whole },
    ])
  }
  const syncFile = (number: number, path: string) =>
    syncEffect(
      `sync ${path}`,
      path,
      isSaved((op) => !isNameOp(op) && op.node === number),
    )

  async function* chunks(number: number, path: string): AsyncGenerator<Uint8Array> {
    await alive()
    const data = contentOf(number, path)
    if (data.length > 0) yield data.slice()
  }

  return {
    async readFile(path, maxBytes = Number.POSITIVE_INFINITY) {
      await alive()
      const data = contentOf(find(path, 'follow'), path)
      if (data.length <= maxBytes) return data.slice()
      throw new PlatformError('too-large', `${path}: more than ${maxBytes} bytes`, { path, limit: maxBytes })
    },
    async *readChunks(path) {
      await alive()
      yield* chunks(find(path, 'follow'), path)
    },
    async openRead(path): Promise<Reader> {
      await alive()
      const number = find(path, 'stay')
      if (state.seen.get(number)?.kind === 'symlink') throw refuse('ELOOP', path)
      contentOf(number, path)
      const facts = factsOf(state.seen, number, options.uid ?? 0)
      return { facts, readChunks: () => chunks(number, path), close: alive }
    },
    async createFile(path, mode): Promise<FileWriter> {
      await enter('create', path, () => ({ kind: 'file', mode, data: new Uint8Array() }))
      const number = find(path, 'stay')
      return {
        write: (bytes) => write(number, path, bytes),
        sync: () => syncFile(number, path),
        close: alive,
      }
    },
    async overwrite(path, bytes, mode) {
      await alive()
      if (!exists(state.seen, path)) await enter('create', path, () => ({ kind: 'file', mode, data: new Uint8Array() }))
      const number = find(path, 'stay')
      if (state.seen.get(number)?.kind === 'symlink') throw refuse('ELOOP', path)
      const before = contentOf(number, path).length
      const whole = Buffer.from(bytes)
      await effect(`overwrite ${path} (${whole.length} bytes)`, path, true, () => [
        { kind: 'write', node: number, offset: 0, bytes: whole },
      ])
      if (before > whole.length)
        await effect(`truncate ${path} to ${whole.length}`, path, false, () => [
          { kind: 'truncate', node: number, length: whole.length },
        ])
    },
    async openAppend(path, mode): Promise<Appender> {
      await alive()
      if (!exists(state.seen, path)) await enter('create', path, () => ({ kind: 'file', mode, data: new Uint8Array() }))
      const number = find(path, 'stay')
      if (state.seen.get(number)?.kind === 'symlink') throw refuse('ELOOP', path)
      contentOf(number, path)
      return {
        get length() {
          return contentOf(number, path).length
        },
        readChunks: () => chunks(number, path),
        append: (bytes) => write(number, path, bytes),
        sync: () => syncFile(number, path),
        truncate: (length) =>
          effect(`truncate ${path} to ${length}`, path, false, () => [{ kind: 'truncate', node: number, length }]),
        close: alive,
      }
    },
    makeDir: (path, mode) => enter('mkdir', path, () => ({ kind: 'directory', mode, entries: new Map() })),
    symlink: (target, path) => enter(`symlink ${target} <-`, path, () => ({ kind: 'symlink', mode: 0o777, target })),
    link: (existing, path) =>
      effect(`link ${existing} <- ${path}`, path, true, () => {
        const node = find(existing, 'stay')
        if (state.seen.get(node)?.kind === 'directory') throw refuse('EPERM', existing)
        return [{ kind: 'enter', ...vacant(path), node }]
      }),
    rename: (from, to) =>
      effect(`rename ${from} -> ${to}`, from, false, () => {
        const node = find(from, 'stay')
        const { folder: fromFolder, name: fromName } = place(from)
        const { folder, name } = place(to)
        refuseReplacement(state.seen, node, entriesOf(state.seen, folder).get(name), to)
        if (reachable(state.seen, node).has(folder)) throw refuse('EINVAL', to)
        return [{ kind: 'rename', folder, name, node, fromFolder, fromName }]
      }),
    unlink: (path) =>
      effect(`unlink ${path}`, path, false, () => {
        const node = find(path, 'stay')
        if (state.seen.get(node)?.kind === 'directory') throw refuse('EISDIR', path)
        return [{ kind: 'leave', ...place(path), node }]
      }),
    async removeTree(path) {
      await alive()
      const walk = async (below: string): Promise<void> => {
        const node = find(below, 'stay')
        const found = state.seen.get(node)
        if (found?.kind === 'directory')
          for (const name of [...found.entries.keys()].sort()) await walk(join(below, name))
        await effect(`remove ${below}`, below, false, () => [{ kind: 'leave', ...place(below), node }])
      }
      if (exists(state.seen, path)) await walk(path)
    },
    chmod: (path, mode) =>
      effect(`chmod ${path} ${mode.toString(8)}`, path, false, () => [
        { kind: 'chmod', node: find(path, 'follow'), mode },
      ]),
    async readLink(path) {
      await alive()
      const node = state.seen.get(find(path, 'stay'))
      if (node?.kind === 'symlink') return node.target
      throw refuse('EINVAL', path)
    },
    async list(path) {
      await alive()
      const node = state.seen.get(find(path, 'follow'))
      if (node?.kind !== 'directory') throw refuse('ENOTDIR', path)
      return [...node.entries]
        .map(([name, child]): DirEntry => ({ name, kind: state.seen.get(child)?.kind ?? 'other' }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async stat(path) {
      await alive()
      return factsOf(state.seen, find(path, 'follow'), options.uid ?? 0)
    },
    async lstat(path) {
      await alive()
      return factsOf(state.seen, find(path, 'stay'), options.uid ?? 0)
    },
    async syncDir(path) {
      await alive()
      const folder = find(path, 'stay')
      if (state.seen.get(folder)?.kind !== 'directory') throw refuse('ENOTDIR', path)
      await syncEffect(
        `sync folder ${path}`,
        path,
        isSaved((op) => (isNameOp(op) ? op.folder === folder : op.node === folder)),
      )
    },
    async syncTree(path) {
      await alive()
      const inside = reachable(state.seen, find(path, 'stay'))
      await syncEffect(
        `sync tree ${path}`,
        path,
        isSaved((op) => inside.has(isNameOp(op) ? op.folder : op.node)),
      )
    },
    async freeBytes() {
      await alive()
      return (options.capacityBytes ?? Number.MAX_SAFE_INTEGER) - usedBytes(state.seen)
    },

    get effects() {
      return power.log.length
    },
    log: power.log,
    get isCut() {
      return power.isCut
    },
    cut: power.cut,
    cutAt: power.cutAt,
    failAt: power.failAt,
    settle() {
      for (const op of state.pending) apply(state.safe, op)
      state.pending = []
      power.log.length = 0
    },
    afterCut: ({ seed, samples }) => statesAfterCut(state, options, seed, samples),
    fork: () => diskOver(copyOf(state), options),
    describe: () => describeImage(state.seen),
  }
}

function copyOf(state: State): State {
  return { seen: new Map(state.seen), safe: new Map(state.safe), pending: state.pending, next: state.next }
}

function statesAfterCut(state: State, options: SimDiskOptions, seed: number, samples: number): AfterCut[] {
  const byContent = new Map<string, AfterCut>()
  for (const [words, ops] of possibleSurvivors(state.pending, seed, samples)) {
    const image: Image = new Map(state.safe)
    for (const op of ops) apply(image, op)
    const content = describeImage(image).join('\n')
    if (byContent.has(content)) continue
    const after = { seen: image, safe: new Map(image), pending: [], next: state.next }
    byContent.set(content, { words, disk: diskOver(after, options) })
  }
  return [...byContent.values()]
}
