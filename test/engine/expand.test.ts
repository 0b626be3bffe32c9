import { describe, expect, test } from 'vitest'
import { buildPaths } from '../../agent/paths.ts'
import { resolveArgv, resolveChecks, resolveService } from '../../agent/service/definition.ts'
import { ExpandError, expand, parseAppEnv } from '../../agent/service/expand.ts'
import type { Service } from '../../schema/manifest.ts'

const variables = new Map([
  ['PORT', '8080'],
  ['EMPTY', ''],
  ['NESTED', '${PORT}'],
])

describe('expand', () => {
  test.each([
    ['plain', 'plain'],
    ['${PORT}', '8080'],
    ['a${PORT}b${PORT}', 'a8080b8080'],
    ['${PORT:-1}', '8080'],
    ['${EMPTY:-1}', '1'],
    ['${MISSING:-}', ''],
    ['${MISSING:-a:-b c}', 'a:-b c'],
    ['${EMPTY}', ''],
    ['${NESTED}', '${PORT}'],
    ['$PORT $(id) `id` $$ %PORT%', '$PORT $(id) `id` $$ %PORT%'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, variables)).toBe(expected)
  })

  test.each([
    ['${MISSING}', 'unset'],
    ['${}', 'malformed'],
    ['${1X}', 'malformed'],
    ['${PORT', 'malformed'],
    ['${PORT:+x}', 'malformed'],
  ])('%s is refused', (text, code) => {
    expect(() => expand(text, variables)).toThrow(expect.objectContaining({ name: 'ExpandError', code }))
  })

  test('a value never stands in a message', () => {
    const secret = new Map([['PASSWORD', 'hunter2']])
    try {
      expand('${PASSWORD} ${MISSING}', secret)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(ExpandError)
      expect(String(error)).not.toContain('hunter2')
    }
  })
})

describe('app.env', () => {
  test('is read line by line', () => {
    const text =
      '# a comment\n\nA=1\nexport B = two words \nC="quoted # not a comment"\nD=\'single\'\nE=\nA=2\r\nF=a=b\nG="\n'
    expect(Object.fromEntries(parseAppEnv(text))).toEqual({
      A: '2',
      B: 'two words',
      C: 'quoted # not a comment',
      D: 'single',
      E: '',
      F: 'a=b',
      G: '"',
    })
  })

  test.each(['PORT', '1A=x', 'A B=x', '=x'])('refuses the line %j and says which it was', (line) => {
    expect(() => parseAppEnv(`OK=1\n${line}\n`)).toThrow(
      expect.objectContaining({ code: 'bad-line', message: expect.stringContaining('line 2') }),
    )
  })
})

describe('a service', () => {
  const paths = buildPaths({ home: '/h' })
  const service: Service = {
    argv: ['./bin/app', '--port=${PORT}', '${NETLINK_DATA_DIR}/db'],
    env: { PORT: '${PORT}', HOME: '/nowhere' },
    working_dir: 'data',
    stop_signal: 'SIGINT',
    stop_timeout_ms: 7,
    ready_ms: 1,
    stability_ms: 1,
    health_checks: [],
  }
  const site = {
    paths,
    appEnv: variables,
    inherited: { PATH: '/bin', HOME: '/root', SECRET: 'x', LD_PRELOAD: '/evil.so', NODE_OPTIONS: '--inspect' },
  }

  test('is resolved wholly from release, site and generation', () => {
    expect(resolveService({ number: 4, version: '0a4', service }, site)).toEqual({
      generation: 4,
      version: '0a4',
      argv: ['/h/generations/4/app/bin/app', '--port=8080', '/h/data/db'],
      env: {
        PATH: '/bin',
        HOME: '/nowhere',
        PORT: '8080',
        NETLINK_APP_DIR: '/h/generations/4/app',
        NETLINK_DATA_DIR: '/h/data',
        NETLINK_CONFIG_DIR: '/h/config',
        NETLINK_VERSION: '0a4',
      },
      cwd: '/h/data',
      stopSignal: 'SIGINT',
      stopTimeoutMs: 7,
    })
  })

  test('can not give itself another version', () => {
    const lying = { ...service, env: { PORT: '1', NETLINK_VERSION: '9r9' } }
    expect(
      resolveService(
        { number: 4, version: '0a4', service: lying },
        { ...site, appEnv: new Map([...variables, ['NETLINK_VERSION', '8r8']]) },
      )?.env.NETLINK_VERSION,
    ).toBe('0a4')
  })

  test.each([
    [['node', 'x'], 'node'],
    [['./bin/x'], '/app/bin/x'],
    [['bin/x'], '/app/bin/x'],
    [['/usr/bin/python3'], '/usr/bin/python3'],
    [['./a/../b'], '/app/b'],
  ])('program %j is %s', (argv, program) => {
    expect(resolveArgv(argv, '/app', variables)[0]).toBe(program)
  })

  test.each([[['../x']], [['./../../bin/sh']], [['${EMPTY}']]])('program %j is refused', (argv) => {
    expect(() => resolveArgv(argv, '/app', variables)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  test('has a port that is a port', () => {
    const check = {
      type: 'tcp' as const,
      name: 'x',
      severity: 'required' as const,
      interval_ms: 10,
      timeout_ms: 10,
      success_threshold: 1,
      failure_threshold: 1,
      host: 'localhost',
    }
    expect(resolveChecks([{ ...check, port: '${PORT}' }], '/app', variables)).toMatchObject([{ port: 8080 }])
    for (const port of ['0', '65536', 'http', '${EMPTY}', '80 80']) {
      expect(() => resolveChecks([{ ...check, port }], '/app', variables)).toThrow(
        expect.objectContaining({ code: 'malformed' }),
      )
    }
  })
})
