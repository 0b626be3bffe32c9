// Where tests keep their worlds, removed when all are over: in memory if this machine has room for it there, because making and removing a hundred thousand
// files takes a disk minutes. `TMPDIR` names another place; on a real disk the tests are the same.

import { execFileSync } from 'node:child_process'
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'
const NEEDED_BYTES = 4 * 2 ** 30

let folder: string | undefined

/** Before all tests: vitest's `globalSetup`. */
export function setup(): void {
  const parent = process.env.TMPDIR === undefined && isUsable(MEMORY) ? MEMORY : tmpdir()
  folder = mkdtempSync(join(parent, 'netlink-test-'))
  process.env.TMPDIR = folder
}

/** After all tests. */
export function teardown(): void {
  if (folder) rmSync(folder, { recursive: true, force: true })
}

/** Writable, large enough, and programs run there. */
function isUsable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize >= NEEDED_BYTES && runsPrograms(folder)
  } catch {
    return false
  }
}

function runsPrograms(folder: string): boolean {
  const trial = mkdtempSync(join(folder, 'netlink-trial-'))
  try {
    writeFileSync(join(trial, 'program'), '#!/bin/sh\nexit 0\n')
    chmodSync(join(trial, 'program'), 0o700)
    execFileSync(join(trial, 'program'))
    return true
  } finally {
    rmSync(trial, { recursive: true, force: true })
  }
}
