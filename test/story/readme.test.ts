// The story of the README, word for word, in a folder that looks like a fresh checkout after `npm ci`. Only the two port numbers are
// other ones, so that the test can run beside a server of the reader's own.
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePorts } from '../services/free-port.ts'

const root = join(import.meta.dirname, '..', '..')
let folder: string

test('the first screen shows what the demo prints', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const shown = /```console\n\$ npm ci && npm run demo\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const demo = await readFile(join(root, 'test', 'demo', 'main.ts'), 'utf8')
  expect(shown).toContain('every expectation held')
  expect(shown).not.toContain('✗')
  for (const words of [
    'one signature is not enough',
    'goes back to 0r2 by itself',
    'one byte of the artifact was flipped',
  ]) {
    expect(shown).toContain(words)
    expect(demo).toContain(words)
  }
})

/** What `git clone` brings and `npm ci` adds, as far as the story needs it. */
const CHECKOUT = ['package.json', 'schema', 'keys', 'publisher', 'server', 'agent', 'docs']

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-story-'))
  for (const name of CHECKOUT) await cp(join(root, name), join(folder, name), { recursive: true })
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
})

afterAll(async () => {
  for (const pid of await startedHere()) process.kill(pid, 'SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

test('every line of the story works as it stands in the README', async () => {
  // given
  const first = await freePorts(2)
  await mkdir(join(folder, 'host', 'config'), { recursive: true })
  await writeFile(join(folder, 'host', 'config', 'app.env'), `PORT=${first + 1}\n`)
  const story = (await storyOf('README.md')).replaceAll('127.0.0.1:8400', `127.0.0.1:${first}`)

  // when
  const { status, output } = await type(story)

  // then
  expect(status, output).toBe(0)
  expect(output).toContain('0a2')
  const generation = JSON.parse(await readFile(join(folder, 'host', 'current', 'generation.json'), 'utf8'))
  expect(generation.version).toBe('0a1')
}, 120_000)

/** Whatever still runs in this folder: job control gives each program in the background a process group of its own. */
async function startedHere(): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid)
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')))
  return pids.filter((_, index) => places[index]?.startsWith(folder))
}

/** The fenced block marked `sh story`. */
async function storyOf(document: string): Promise<string> {
  const text = await readFile(join(root, document), 'utf8')
  const block = /```sh story\n([\s\S]*?)```/.exec(text)?.[1]
  if (!block) throw new Error(`${document} has no block marked "sh story"`)
  return block
}

/** Types the lines one after the other, as fast as if they were pasted. */
function type(story: string): Promise<{ status: number | null; output: string }> {
  const lines = story
    .trim()
    .split('\n')
    .flatMap((line) => (line.endsWith('&') ? inBackground(line) : [`${line} || exit 1`]))
  const script = ['set -m', ...lines, 'npx netlink service stop', 'kill %1 %2', 'wait', 'exit 0'].join('\n')
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', script], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('exit', (status) => resolve({ status, output }))
  })
}

/** With its output in a file: a pipe that a program in the background keeps open would never end. */
function inBackground(line: string): string {
  return `${line.slice(0, -1)} >>background.log 2>&1 &`
}
