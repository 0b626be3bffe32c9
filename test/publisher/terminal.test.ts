// What only a terminal shows: a real one, made by util-linux's `script`.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { hasProgram } from '../services/process.ts'
import { tempFolder } from './folder.ts'

const bin = join(import.meta.dirname, '..', '..', 'publisher', 'bin.cjs')
const hasScript = await hasProgram('script')
const GENERATE = ['keys', 'generate', '--name', 'dave', '--out', 'dave.age']

test.runIf(hasScript)(
  'a passphrase that is typed is used and never shown, however quickly it comes',
  async () => {
    const folder = await tempFolder()
    const { shown, status } = await typed(folder, GENERATE, 'new passphrase for dave: ', 'wor-ds\r')
    expect(status).toBe(0)
    expect(shown).toContain('keyring of dave')
    expect(shown).not.toContain('wor-ds')
    const keyring = await openKeyring({ disk: buildKeyFileDisk(nodeDisk) }, join(folder, 'dave.age'), 'wor-ds')
    expect(keyring.holder).toBe('dave')
  },
  60_000,
)

test.runIf(hasScript)(
  'Ctrl-C at the question ends with 130 and makes nothing',
  async () => {
    const folder = await tempFolder()
    const { shown, status } = await typed(folder, GENERATE, 'new passphrase for dave: ', '\u0003')
    expect(status).toBe(130)
    expect(shown).toContain('E-INTERRUPTED')
    await expect(nodeDisk.stat(join(folder, 'dave.age'))).rejects.toMatchObject({ code: 'not-found' })
  },
  60_000,
)

/** Runs the program on a terminal and types `answer` the moment that `question` is on the screen. */
async function typed(folder: string, args: readonly string[], question: string, answer: string) {
  const command = [process.execPath, bin, ...args].map((word) => `'${word}'`).join(' ')
  await writeFile(join(folder, 'command.sh'), `exec ${command}\n`)
  const child = spawn('script', ['-qec', 'sh command.sh', '/dev/null'], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: '1' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const parts: string[] = []
  let isAnswered = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    parts.push(text)
    if (isAnswered || !parts.join('').includes(question)) return
    isAnswered = true
    child.stdin.write(answer)
  })
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { shown: parts.join(''), status }
}
