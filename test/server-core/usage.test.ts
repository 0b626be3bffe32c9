// What is wrong with a command line is said before anything is touched. The whole command line, in this process.
import { expect, test } from 'vitest'
import { runProgram } from '../../server/program.ts'
import { machineHere } from '../world/server-here.ts'

async function commandLine(...args: string[]) {
  const stdout: string[] = []
  const stderr: string[] = []
  const machine = { ...machineHere((text) => stderr.push(text)), stdout: (text: string) => void stdout.push(text) }
  const status = await runProgram(args, machine)
  return { status, stdout: stdout.join(''), stderr: stderr.join('') }
}

test.each([
  [['tokn', 'list'], /did you mean "token"/],
  [['token', 'lst'], /did you mean "list"/],
  [['serve', '--lisen', 'x'], /did you mean "--listen"/],
  [['init', '--storage', 'tape'], /expected fs or s3/],
  [['init', '--dir', 'x', '--storage', 's3'], /--s3-endpoint/],
  [['init', '--dir', 'x', '--db', 'mysql://x'], /postgres:\/\//],
  [['token', 'create', '--name', 'x'], /--scope/],
  [['enroll-token', 'create', '--dir', 'made', '--uses', 'many', '--out', 'x.token'], /expected 1 to 1000000/],
  [['token', 'create', '--dir', 'made', '--name', 'x', '--scope', 'god'], /expected one of read/],
  [['token', 'create', '--dir', 'made', '--name', 'x', '--scope', 'read', '--expires', 'soon'], /90d/],
  [[], /a command is missing/],
])('%j is a usage error', async (args, words) => {
  const outcome = await commandLine(...args)
  expect(outcome.stderr).toMatch(words)
  expect(outcome.status).toBe(2)
})

test('help has examples and goes to stdout', async () => {
  for (const args of [['--help'], ['init', '--help'], ['serve', '--help'], ['token', 'create', '--help']]) {
    const outcome = await commandLine(...args)
    expect(outcome).toMatchObject({ status: 0, stderr: '' })
    expect(outcome.stdout).toMatch(/Examples:\n {2}netlink-server/)
  }
})
