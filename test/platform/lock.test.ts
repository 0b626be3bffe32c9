import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { acquireLock, readHolder } from '../../keys/platform/lock.ts'

const HOLDER = join(import.meta.dirname, 'lock-holder.ts')
let folder: string
let path: string
const children: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'netlink-lock-'))
  path = join(folder, 'update.lock')
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Another process that holds the lock. */
const hold = async (owner: string, nodeOptions: readonly string[] = [], manner = 'hold') => {
  const argv = [...nodeOptions, HOLDER, path, owner, manner]
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [said] = await once(child.stdout, 'data')
  expect(String(said)).toBe('held\n')
  return child
}
const owner = 'netlink test'

describe('the lock', () => {
  test('is held by one at a time in one process too', async () => {
    const first = await acquireLock(path, { owner })
    await expect(acquireLock(path, { owner: 'other' })).rejects.toMatchObject({
      name: 'PlatformError',
      code: 'locked',
      facts: { path, holder: expect.stringContaining(`netlink test (process ${process.pid}, since 20`) },
    })
    await first.release()
    await first.release()
    const second = await acquireLock(path, { owner: 'other' })
    expect(await readHolder(path)).toMatchObject({ command: 'other', pid: process.pid })
    await second.release()
    expect(await readHolder(path)).toBeUndefined()
  })

  test('keeps other processes out, in both directions, also after failed tries', async () => {
    const mine = await acquireLock(path, { owner })
    for (let tries = 0; tries < 3; tries++) {
      await expect(acquireLock(path, { owner })).rejects.toMatchObject({ code: 'locked' })
    }
    const other = spawnSync(process.execPath, [HOLDER, path, 'other'], { encoding: 'utf8' })
    expect(other.status).not.toBe(0)
    expect(other.stderr).toContain('held by netlink test')
    await mine.release()
    const child = await hold('netlink update')
    await expect(acquireLock(path, { owner })).rejects.toMatchObject({
      code: 'locked',
      facts: { holder: expect.stringContaining(`netlink update (process ${child.pid}`) },
    })
  })

  test('is free as soon as its holder is killed', async () => {
    const child = await hold('netlink update')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await acquireLock(path, { owner })
    expect(await readHolder(path)).toMatchObject({ command: owner })
    await lock.release()
  })

  test('is waited for as long as was said, and taken when its holder goes', async () => {
    const child = await hold('netlink update')
    const started = systemClock.monotonicMs()
    await expect(acquireLock(path, { owner, waitMs: 250 })).rejects.toMatchObject({ code: 'locked' })
    expect(systemClock.monotonicMs() - started).toBeGreaterThanOrEqual(245)
    const waiting = acquireLock(path, { owner, waitMs: 20_000 })
    child.kill('SIGKILL')
    await (await waiting).release()
  })

  test('given back properly leaves no name beside it', async () => {
    const child = await hold('netlink update')
    child.stdin?.end()
    await once(child, 'exit')
    expect(await readHolder(path)).toBeUndefined()
    await (await acquireLock(path, { owner })).release()
  })

  test('that is waited for can be given up', async () => {
    await hold('netlink update')
    const stop = new AbortController()
    const waiting = acquireLock(path, { owner, waitMs: 60_000, signal: stop.signal })
    setTimeout(() => stop.abort(), 50)
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('does not pass to children, who would keep it after our death', async () => {
    const child = await hold('netlink update')
    // The holder starts nothing itself; a descriptor that a child could inherit would lack close-on-exec.
    const flags = readFileSync(`/proc/${child.pid}/fdinfo/${lockDescriptor(child.pid)}`, 'utf8')
    expect(Number.parseInt(/flags:\s*(\d+)/.exec(flags)?.[1] ?? '0', 8) & 0o2000000).not.toBe(0)
  })

  test('is held although the program kept nothing of it', async () => {
    await hold('netlink update', ['--expose-gc'], 'forget')
    await expect(acquireLock(path, { owner })).rejects.toMatchObject({ code: 'locked' })
  })

  test('is a file of its owner’s alone, stays empty, and is taken in silence', async () => {
    const child = spawn(process.execPath, [HOLDER, path, owner], { stdio: ['pipe', 'pipe', 'pipe'] })
    children.push(child)
    let stderr = ''
    child.stderr.on('data', (data) => {
      stderr += data
    })
    await once(child.stdout, 'data')
    expect(statSync(path)).toMatchObject({ size: 0 })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    child.stdin.end()
    await once(child, 'exit')
    expect(stderr).toBe('')
  })

  test.each<[string, () => void, string]>([
    ['a symlink', () => symlinkSync('/etc/passwd', path), 'io'],
    ['a file of something else', () => writeFileSync(path, 'not a database '.repeat(100)), 'io'],
    ['a folder that is not there', () => rmSync(folder, { recursive: true }), 'not-found'],
  ])('refuses %s', async (_, prepare, code) => {
    prepare()
    await expect(acquireLock(path, { owner })).rejects.toMatchObject({ name: 'PlatformError', code })
  })

  test('holds although the name of its holder is torn or of another kind', async () => {
    await hold('netlink update')
    for (const content of ['{"pid":1,', '[]', 'null', '{"pid":"x","command":1,"since":2}', 'x'.repeat(10_000)]) {
      writeFileSync(`${path}.holder`, content)
      await expect(acquireLock(path, { owner })).rejects.toMatchObject({
        code: 'locked',
        facts: { holder: 'another process' },
      })
    }
  })

  test('goes to exactly one of many who start at once, with no file there', async () => {
    const tries = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, [HOLDER, path, owner], { stdio: ['pipe', 'pipe', 'ignore'] })
      children.push(child)
      return Promise.race([once(child.stdout, 'data').then(() => 'held'), once(child, 'exit').then(() => 'refused')])
    })
    expect((await Promise.all(tries)).sort()).toEqual(['held', 'refused', 'refused', 'refused'])
  })
})

function lockDescriptor(pid: number | undefined): string {
  const listing = spawnSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8' }).stdout
  return new RegExp(`(\\d+) -> ${path}$`, 'm').exec(listing)?.[1] ?? 'none'
}
