import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KeyFileError } from '../../keys/key-file.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { failureFactsOf } from '../../server/commands/failure-facts.ts'
import { CoreError } from '../../server/core/core-error.ts'

describe('what the server says when it fails', () => {
  test.each([
    [new PlatformError('locked', 'held by netlink-server serve'), 'E-LOCKED', 12],
    [new PlatformError('io', 'EIO'), 'E-IO', 1],
    [new CoreError('conflict', 'somebody was first'), 'E-CONFLICT', 3],
    [new ShapeError('server.yml', [{ pointer: '/listen', message: 'expected HOST:PORT' }]), 'E-CONFIG', 2],
    [new KeyFileError('not-a-keyring', 'online.keys', 'online.keys is no keyring'), 'E-KEY-FILE', 2],
    [new Error('nobody foresaw this'), 'E-UNEXPECTED', 1],
  ])('%s: the next command is for the folder that was named', (error, code, exit) => {
    expect(failureFactsOf(error, 'srv')).toMatchObject({ code, exit, next: ['netlink-server doctor --dir srv'] })
    expect(failureFactsOf(error, "my server's")).toMatchObject({
      next: ["netlink-server doctor --dir 'my server'\\''s'"],
    })
    expect(failureFactsOf(error, null)).toMatchObject({ next: ['netlink-server doctor'] })
  })

  test('a folder without server.yml is no server, and init makes it one; another missing file is another matter', () => {
    const missing = (path: string) => new PlatformError('not-found', `${path}: ENOENT`, { path })
    expect(failureFactsOf(missing(resolve('nosrv', 'server.yml')), 'nosrv')).toEqual({
      code: 'E-NOT-SERVER',
      exit: 2,
      title: "nosrv is not a server's folder",
      detail: 'expected server.yml in it, there is none',
      state: 'Nothing was done.',
      next: ['netlink-server init --dir nosrv'],
    })
    expect(failureFactsOf(missing(resolve('server.yml')), null)).toMatchObject({
      code: 'E-NOT-SERVER',
      next: ['netlink-server init'],
    })
    expect(failureFactsOf(missing(resolve('srv', 'secrets', 'online.keys')), 'srv')).toMatchObject({
      code: 'E-NOT-FOUND',
      next: ['netlink-server doctor --dir srv'],
    })
  })
})
