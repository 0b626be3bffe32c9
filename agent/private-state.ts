// Whether what this host trusts is its own. Asked before anything in the folder of state is believed.

import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { assertPrivate } from '../keys/platform/private-dir.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { Machine } from './machine.ts'

interface Rule {
  readonly path: string
  readonly kind: 'file' | 'directory'
  /** Permission bits that others must not have. */
  readonly forbidden: number
  readonly chmod: string
}

/** Throws Failure E-NOT-PERMITTED where others could read this host's key or change what it trusts. What is not there is nobody's. */
export async function requirePrivateState({
  disk,
  files,
  paths,
}: Pick<Machine, 'disk' | 'files' | 'paths'>): Promise<void> {
  const rules: readonly Rule[] = [
    { path: paths.state, kind: 'directory', forbidden: 0o022, chmod: 'go-w' },
    { path: paths.trust, kind: 'directory', forbidden: 0o022, chmod: 'go-w' },
    privateFile(files.key),
    privateFile(files.enrolment),
  ]
  for (const rule of rules) await requireRule(disk, rule)
  for (const path of [paths.root, paths.state]) await requirePrivateWay(disk, path)
}

/** Throws Failure E-NOT-PERMITTED where this file can be read by others, or is a symlink. What is not there is nobody's. */
export async function requirePrivateFile(disk: Disk, path: string): Promise<void> {
  await requireRule(disk, privateFile(path))
}

function privateFile(path: string): Rule {
  return { path, kind: 'file', forbidden: 0o077, chmod: '600' }
}

async function requireRule(disk: Disk, rule: Rule): Promise<void> {
  // A folder may lie elsewhere: what counts is where its symlink leads.
  const looked = rule.kind === 'directory' ? `${rule.path}/.` : rule.path
  const facts = await disk.lstat(looked).catch(ifAbsent)
  if (!facts) return
  if (facts.kind === 'symlink') {
    throw refusal('It is a symlink', rule.path, `replace it by the file itself, then: chmod 600 ${rule.path}`)
  }
  if ((facts.mode & rule.forbidden) !== 0) {
    throw refusal(`Its mode is ${facts.mode.toString(8)}`, rule.path, `chmod ${rule.chmod} ${rule.path}`)
  }
}

/**
 * Whoever can rename a folder on the way to what runs here can put another in its place. Groups may write on the way to an ordinary user's host, since
 * many systems give every user a group of its own and a umask that lets it write; on the way to root's they may not.
 */
async function requirePrivateWay(disk: Disk, path: string): Promise<void> {
  const uid = process.getuid?.() ?? 0
  try {
    await assertPrivate(disk, path, uid, uid === 0 ? 'refused' : 'trusted')
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error
    if (error.code === 'not-found') return
    if (error.code !== 'not-permitted') throw error
    const offending = String(error.facts.path ?? path)
    throw refusal(`Others may change what lies there: ${error.message}`, offending, `ls -ld ${offending}`)
  }
}

function ifAbsent(error: unknown): undefined {
  if (error instanceof PlatformError && error.code === 'not-found') return undefined
  throw error
}

function refusal(what: string, path: string, next: string): Failure {
  return new Failure({
    code: 'E-NOT-PERMITTED',
    exit: EXIT.forbidden,
    title: `${path} is open to others`,
    detail: `${what}: others could pass for this host, or change what it trusts.`,
    state: 'Nothing was changed.',
    next: [next],
  })
}
