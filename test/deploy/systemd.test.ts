import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasProgram } from '../services/process.ts'

const run = promisify(execFile)
const units = join(import.meta.dirname, '..', '..', 'deploy', 'systemd')
const installed = await hasProgram('systemd-analyze')
if (!installed) console.log('skipped: the systemd units, for want of systemd-analyze')

describe.skipIf(!installed)('systemd units', () => {
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'netlink-units-'))
    // systemd-analyze wants every program of a unit to exist; the package puts these two into /usr/local/bin.
    const program = join(folder, 'program')
    await writeFile(program, '#!/bin/sh\n')
    await chmod(program, 0o755)
    for (const name of await unitNames()) {
      const text = await readFile(join(units, name), 'utf8')
      await writeFile(join(folder, name), text.replaceAll(/\/usr\/local\/bin\/netlink(-server)?/g, program))
    }
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('there is one for the server and one for the agent', async () => {
    expect(await unitNames()).toEqual(['netlink-agent.service', 'netlink-server.service'])
  })

  test.each(['netlink-agent.service', 'netlink-server.service'])('%s is accepted without a warning', async (name) => {
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', join(folder, name)])
    expect(ours(stdout + stderr)).toEqual([])
  })

  test('a misspelt setting would be reported', async () => {
    const text = await readFile(join(folder, 'netlink-server.service'), 'utf8')
    const wrong = join(folder, 'netlink-wrong.service')
    await writeFile(wrong, text.replace('ProtectHome=', 'ProtectHouse='))
    const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', wrong])
    expect(ours(stdout + stderr).join()).toContain('ProtectHouse')
  })

  test('the server is exposed to little: 2.0 or less of 10', async () => {
    const { stdout } = await run('systemd-analyze', [
      'security',
      '--offline=true',
      '--no-pager',
      join(folder, 'netlink-server.service'),
    ])
    const level = /exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]
    expect(Number(level)).toBeLessThanOrEqual(2)
  })
})

async function unitNames(): Promise<string[]> {
  return (await readdir(units)).filter((name) => name.endsWith('.service')).sort()
}

/** Lines about our units; the machine's own units may have warnings of theirs. */
function ours(output: string): string[] {
  return output.split('\n').filter((line) => line.includes('netlink'))
}
