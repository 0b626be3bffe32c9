import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Program, run } from '../world/programs.ts'

const SERVER = 'http://127.0.0.1:9'
const FINGERPRINT = `sha256:${'ab'.repeat(32)}`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'no-folder-'))
  await writeFile(join(folder, 'token'), 'nlk_host-enroll_anything\n')
})
afterEach(() => rm(folder, { recursive: true }))

type Story = [
  program: Program,
  args: (place: string) => string[],
  env: (place: string) => Record<string, string>,
  elsewhere: number,
]

const enrol = ['agent', 'enroll', '--server', SERVER, '--token-file', 'token', '--trust-root', FINGERPRINT]
const generate = ['keys', 'generate', '--name', 'alice', '--no-encrypt', '--dir']
const stories: Story[] = [
  ['netlink', () => enrol, (place) => ({ NETLINK_HOME: place }), 6],
  ['netlink-server', (place) => ['init', '--dir', place], () => ({}), 0],
  ['netlink-publish', (place) => [...generate, place], () => ({}), 0],
]

describe.runIf(process.platform === 'linux')('a place where nobody can make a folder', () => {
  // Below /proc, mkdir(2) answers that the parent is missing, for ever: whoever makes the parent and tries again never ends.
  test.each(stories)('%s ends with the folder’s name, and elsewhere gets on', async (program, args, env, elsewhere) => {
    const refused = await run(folder, program, args('/proc/x'), env('/proc/x'))
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('/proc takes none')])
    expect(refused.stderr).toContain('E-NOT-FOUND')
    const place = join(folder, 'a', 'b')
    const good = await run(folder, program, args(place), env(place))
    expect(good.status, good.stderr).toBe(elsewhere)
  })
})
