import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { run } from '../world/programs.ts'

test.each(['netlink', 'netlink-publish', 'netlink-server', 'netlink-admin'] as const)(
  '%s --help says what the program is for, shows examples, and where its settings come from',
  async (program) => {
    const { status, stdout } = await run(tmpdir(), program, ['--help'])
    expect(status).toBe(0)
    expect(stdout).toMatch(new RegExp(`^Usage: ${program} \\[options\\] \\[command\\]\\n\\n[A-Z][^\\n]*`))
    expect(stdout).toMatch(new RegExp(`\\nExamples:\\n  ${program} `))
    const [, settings = ''] = stdout.split('\nSettings: ')
    expect(settings).toMatch(/^flag, then NETLINK_/)
    expect(settings.split('\n').filter((line) => `Settings: ${line}`.length > 90)).toEqual([])
  },
)
