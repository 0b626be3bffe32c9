// What a second look at a tree may leave out, on real files: nothing that was changed, by whatever way a user who is not root can change it.
import { type ChildProcess, spawn } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, stat, symlink, unlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createHashMemory, type HashMemory } from '../../agent/engine/hash-memory.ts'
import { hashTree } from '../../agent/engine/unpack.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'

/** `TMPFS_MAGIC`, statfs(2). */
const TMPFS = 0x01021994

interface Tree {
  readonly folder: string
  readonly root: string
  readonly app: string
}

/** A small tree below a folder of its own. */
async function layOut(place = tmpdir()): Promise<Tree> {
  const folder = await mkdtemp(join(place, 'netlink-hashed-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const root = join(folder, 'tree')
  await mkdir(join(root, 'bin'), { recursive: true, mode: 0o755 })
  await writeFile(join(root, 'bin', 'app'), 'good', { mode: 0o755 })
  await writeFile(join(root, 'readme'), 'words', { mode: 0o644 })
  return { folder, root, app: join(root, 'bin', 'app') }
}

async function markOf({ folder }: Tree) {
  const mark = join(folder, 'mark')
  await rm(mark, { force: true })
  await symlink('nowhere', mark)
  return nodeDisk.lstat(mark)
}

/** A mark that everything in the tree is older than: the clock of a filesystem may stand still for some milliseconds. */
async function laterMarkOf(tree: Tree) {
  const { changedNs } = await nodeDisk.lstat(tree.app)
  for (;;) {
    const mark = await markOf(tree)
    if (mark.changedNs > changedNs + 1_000_000n) return mark
  }
}

/** The disk, and which files of it were read. */
function watched() {
  const read: string[] = []
  const disk: Disk = {
    ...nodeDisk,
    openRead: (path) => {
      read.push(path)
      return nodeDisk.openRead(path)
    },
  }
  return { disk, read }
}

async function seen(tree: Tree): Promise<{ readonly memory: HashMemory; readonly digest: string }> {
  const memory = createHashMemory(await laterMarkOf(tree))
  await nodeDisk.syncTree(tree.root)
  return { memory, digest: await hashTree(nodeDisk, tree.root, undefined, memory) }
}

test('a tree that nobody touched is not read a second time: the control', async () => {
  const tree = await layOut()
  const { memory, digest } = await seen(tree)
  const { disk, read } = watched()
  expect(await hashTree(disk, tree.root, undefined, memory)).toBe(digest)
  expect(read).toEqual([])
  expect(await hashTree(disk, tree.root)).toBe(digest)
  expect(read).toHaveLength(2)
})

test.each<[what: string, harm: (tree: Tree) => Promise<unknown>]>([
  [
    'other bytes of the same length, with the old times put back',
    async ({ app }) => withTimesOf(app, () => writeFile(app, 'evil')),
  ],
  [
    'another file of that length and those times under the name',
    async ({ app, folder }) => {
      await writeFile(join(folder, 'evil'), 'evil', { mode: 0o755 })
      await withTimesOf(app, () => rename(join(folder, 'evil'), app))
    },
  ],
  [
    'a folder of the same names in the place of the folder',
    async ({ root, folder }) => {
      await mkdir(join(folder, 'bin'), { mode: 0o755 })
      await writeFile(join(folder, 'bin', 'app'), 'evil', { mode: 0o755 })
      await rename(join(root, 'bin'), join(folder, 'old'))
      await rename(join(folder, 'bin'), join(root, 'bin'))
    },
  ],
  ['other rights', ({ root }) => chmod(join(root, 'readme'), 0o755)],
  ['one file more', ({ root }) => writeFile(join(root, 'more'), '')],
  ['one file less', ({ root }) => unlink(join(root, 'readme'))],
])('%s: the second look finds it', async (_, harm) => {
  const tree = await layOut()
  const { memory, digest } = await seen(tree)
  await harm(tree)
  expect(await hashTree(nodeDisk, tree.root, undefined, memory)).not.toBe(digest)
})

test('a file that was touched and holds the same is read, and is the same', async () => {
  const tree = await layOut()
  const { memory, digest } = await seen(tree)
  await utimes(tree.app, 1, 1)
  const { disk, read } = watched()
  expect(await hashTree(disk, tree.root, undefined, memory)).toBe(digest)
  expect(read).toEqual([tree.app])
})

test('what is not older than the mark is read every time, and so is what lies on another filesystem', async () => {
  const tree = await layOut()
  const mark = await markOf(tree)
  await utimes(tree.app, 1, 1)
  const { disk, read } = watched()
  const young = createHashMemory({ ...mark, changedNs: (await nodeDisk.lstat(tree.app)).changedNs })
  const elsewhere = createHashMemory({ ...(await laterMarkOf(tree)), device: mark.device + 1 })
  for (const memory of [young, elsewhere])
    for (let time = 0; time < 2; time++) await hashTree(disk, tree.root, undefined, memory)
  expect(read.filter((path) => path === tree.app)).toHaveLength(4)
})

test('two files that take turns under one name while it is read do not pass for one', async () => {
  const tree = await layOut()
  const evil = join(tree.folder, 'evil')
  await writeFile(evil, 'evil', { mode: 0o755 })
  const good = join(tree.folder, 'good')
  await rename(tree.app, good)
  await rename(evil, tree.app)
  const memory = createHashMemory(await laterMarkOf(tree))
  // Facts are asked of one, bytes are read of the other.
  const disk: Disk = {
    ...nodeDisk,
    openRead: async (path) => nodeDisk.openRead(path === tree.app ? good : path),
  }
  const digest = await hashTree(disk, tree.root, undefined, memory)
  expect(await hashTree(nodeDisk, tree.root, undefined, memory)).not.toBe(digest)
})

/** Where files lie on a disk; tests otherwise live in memory, which keeps no times of what is written through a mapping. */
const onDisk = ['/var/tmp', import.meta.dirname].find((path) => statfsSync(path).type !== TMPFS)

test.skipIf(onDisk === undefined)(
  'a program that had mapped a file before it was hashed is found out when it writes after that',
  async () => {
    const tree = await layOut(onDisk)
    const writer = await mapping(tree.app)
    await writer.write('good')
    const { memory, digest } = await seen(tree)
    expect(await hashTree(nodeDisk, tree.root, undefined, memory)).toBe(digest)
    await writer.write('evil')
    expect(await hashTree(nodeDisk, tree.root, undefined, memory)).not.toBe(digest)
    await writer.write('good')
    expect(await hashTree(nodeDisk, tree.root, undefined, memory)).toBe(digest)
  },
)

async function withTimesOf(path: string, change: () => Promise<unknown>): Promise<void> {
  const { atime, mtime } = await stat(path)
  await change()
  await utimes(path, atime, mtime)
}

const MAPPING = `
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    pages = mmap.mmap(file.fileno(), 0)
    print('mapped', flush=True)
    for line in sys.stdin:
        pages[:] = line.strip().encode()
        print('written', flush=True)
`

/** A process that writes into the file through a mapping of it. */
async function mapping(path: string) {
  const child = spawn('python3', ['-c', MAPPING, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill())
  await lineOf(child)
  return {
    async write(text: string): Promise<void> {
      const written = lineOf(child)
      child.stdin.write(`${text}\n`)
      await written
    },
  }
}

function lineOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', resolve)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`python3 ended with ${code}`)))
  })
}
