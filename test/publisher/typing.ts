// A person at a real terminal, made by util-linux's `script`.
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { hasProgram } from '../services/process.ts'

const bin = join(import.meta.dirname, '..', '..', 'publisher', 'bin.cjs')
export const hasScript = await hasProgram('script')

/** Runs the program on a terminal and types `answer` the moment that `question` is on the screen. */
export async function typed(folder: string, args: readonly string[], question: string, answer: string) {
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
