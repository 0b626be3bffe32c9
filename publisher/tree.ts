import { join } from 'node:path'
import type { DirEntry, Disk, FileFacts } from '../keys/platform/disk.ts'
import { ArchiveError } from '../schema/archive/archive-error.ts'
import { type ArchiveEntry, comparePaths, DIRECTORY_MODE, FILE_MODE, PROGRAM_MODE } from '../schema/archive/entry.ts'
import { createTreeRules } from '../schema/archive/tree-rules.ts'
import { type Problem, PublishError } from './publish-error.ts'
import { secretInName } from './secrets.ts'

/** Stays out of every archive: what it says is in the manifest. */
export const RELEASE_JSON = 'release.json'

/** Most files and folders, and most bytes, that one release may have. */
export const TREE_LIMITS = { maxEntries: 200_000, maxBytes: 16 * 1024 ** 3 }

/** One file or folder that goes into the archive, and what it looked like when it was listed. */
export interface TreeEntry extends ArchiveEntry {
  /** Where it lies on this machine. */
  readonly source: string
  readonly facts: FileFacts
}

export interface TreeRules {
  /** Whether a path (relative, with slashes) stays out; a folder takes along what it holds. */
  readonly isExcluded: (path: string) => boolean
  /** Whether the engineer says that a path which looks like a secret is none. */
  readonly isAllowedSecret: (path: string) => boolean
}

/**
 * What a release folder holds, in the order of the archive, rights normalised to 0644 and 0755. Reads names only, no contents.
 *
 * Throws PublishError `files` naming every entry that may not go out: symlinks, devices and pipes, names that do not mean the same everywhere, names that
 * collide where case or normalization is ignored, names of secrets, files that nobody may read; and a folder without any file.
 */
export async function readTree(disk: Disk, folder: string, rules: TreeRules): Promise<readonly TreeEntry[]> {
  const entries: TreeEntry[] = []
  const problems: Problem[] = []
  await walk('')
  entries.sort((a, b) => comparePaths(a.path, b.path))
  if (problems.length === 0) problems.push(...ruleProblems(entries))
  if (problems.length === 0 && !entries.some((entry) => entry.type === 'file')) {
    problems.push({ where: folder, what: 'has no files to release' })
  }
  if (problems.length > 0) throw refusal(folder, problems)
  return entries

  async function walk(below: string): Promise<void> {
    for (const entry of await disk.list(join(folder, below))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (path === RELEASE_JSON || rules.isExcluded(path)) continue
      await visit(path, entry)
    }
  }

  async function visit(path: string, entry: DirEntry): Promise<void> {
    const source = join(folder, path)
    const problem = await problemOf(disk, folder, path, entry, rules)
    if (problem !== undefined) return void problems.push({ where: path, what: problem })
    const facts = await disk.lstat(source)
    if (facts.kind === 'directory') {
      entries.push({ path, type: 'directory', mode: DIRECTORY_MODE, size: 0, source, facts })
      return walk(path)
    }
    const mode = (facts.mode & 0o111) === 0 ? FILE_MODE : PROGRAM_MODE
    entries.push({ path, type: 'file', mode, size: facts.size, source, facts })
  }
}

/** Why this entry may not go into a release, or undefined. */
async function problemOf(
  disk: Disk,
  folder: string,
  path: string,
  entry: DirEntry,
  rules: TreeRules,
): Promise<string | undefined> {
  // Node reads a name that is not UTF-8 as one with replacement characters: the file would not even be found again.
  if (entry.name.includes('\ufffd')) return 'has a name that is not UTF-8'
  if (entry.kind === 'symlink') return symlinkProblem(path, await disk.readLink(join(folder, path)))
  if (entry.kind === 'other') return 'is a device, pipe or socket'
  if (entry.kind === 'directory') return undefined
  const secret = secretInName(path)
  return secret === undefined || rules.isAllowedSecret(path) ? undefined : secretProblem(secret)
}

function symlinkProblem(path: string, target: string): string {
  const depth = path.split('/').length - 1
  const where = leavesTree(target, depth) ? 'out of the release folder' : 'to another file of the release'
  return `is a symlink ${where} (${JSON.stringify(target)}): put a copy of the file in its place, or exclude it`
}

function leavesTree(target: string, depth: number): boolean {
  if (target.startsWith('/')) return true
  let level = depth
  for (const segment of target.split('/')) {
    if (segment === '..') level -= 1
    else if (segment !== '' && segment !== '.') level += 1
    if (level < 0) return true
  }
  return false
}

/** How a finding is worded, wherever it was made. */
export function secretProblem(what: string): string {
  return `looks like a secret: ${what} (if it is none, name it in allow_secrets of ${RELEASE_JSON})`
}

/** What the archive's own rules say of the whole list: names, collisions, limits. */
function ruleProblems(entries: readonly ArchiveEntry[]): Problem[] {
  const accept = createTreeRules(TREE_LIMITS)
  const problems: Problem[] = []
  for (const entry of entries) {
    try {
      accept(entry)
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error
      // A folder that was refused takes everything below it along: one line says enough.
      if (error.code !== 'orphan') problems.push({ where: entry.path, what: wordsOf(error) })
    }
  }
  return problems
}

function wordsOf(error: ArchiveError): string {
  return error.message.replace(/: "(?:[^"\\]|\\.)*"$/, '')
}

/** The one refusal for everything that is wrong with a folder. */
export function refusal(folder: string, problems: readonly Problem[]): PublishError {
  const [first] = problems
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  const message = `${folder} can't be released: ${first?.where} ${first?.what}${more}`
  return new PublishError('files', message, { problems })
}
