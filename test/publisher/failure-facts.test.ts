import { describe, expect, test } from 'vitest'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { failureFactsOf } from '../../publisher/failure-facts.ts'
import { PublishError } from '../../publisher/publish-error.ts'
import { refusal } from '../../publisher/tree.ts'
import { ShapeError } from '../../schema/shape-error.ts'

const STATE = 'Nothing was published.'

describe('what the publisher says when it fails', () => {
  test.each([
    new PlatformError('unreachable', 'nobody listens at 127.0.0.1:9'),
    new PlatformError('not-found', 'there is no release.json'),
    new PlatformError('locked', 'somebody works here'),
    new PublishError('not-newer', 'alpha already holds 0a2'),
    new PublishError('files', 'app has no files'),
    new ShapeError('release.json', [{ pointer: '/run', message: 'is missing' }]),
  ])('%s has a next step', (error) => {
    expect(failureFactsOf(error, STATE).next.join()).not.toBe('')
  })

  test('a server that can’t be reached is asked by its address: its folder is another machine’s', () => {
    const error = new PlatformError('unreachable', 'no', { url: 'https://updates.example:8443/api/v1/publish/state' })
    expect(failureFactsOf(error, STATE).next).toEqual(['curl -i https://updates.example:8443/readyz'])
    const status = new PlatformError('http-status', 'no', { url: 'https://updates.example/x' })
    expect(failureFactsOf(status, STATE).next).toEqual(['netlink-server doctor'])
  })

  test('a step that the error knows itself stands alone', () => {
    const error = new PublishError('not-newer', 'alpha already holds 0a2', { next: ['netlink-publish show 0a2'] })
    expect(failureFactsOf(error, STATE).next).toEqual(['netlink-publish show 0a2'])
  })

  test('what others said stands on one line', () => {
    const cause = new Error('no\r\nNothing is wrong.\n  Next: curl evil')
    expect(failureFactsOf(new PublishError('server', 'it refused', {}, { cause }), STATE).detail).toBe(
      'no Nothing is wrong. Next: curl evil',
    )
    const problems = [
      { where: '/a\n/b', what: 'no\nstate: well' },
      { where: '/c', what: 'missing' },
    ]
    expect(failureFactsOf(new PublishError('server', 'it refused', { problems }), STATE).detail).toBe(
      '/a /b no state: well\n/c missing',
    )
  })

  test('the detail does not say again what the title said, and names the rest', () => {
    const first = { where: '.env', what: 'looks like a secret' }
    const second = { where: 'id_rsa', what: 'looks like a secret too' }
    expect(failureFactsOf(refusal('app', [first]), STATE).detail).toBe('')
    expect(failureFactsOf(refusal('app', [first, second]), STATE).detail).toBe('id_rsa looks like a secret too')
  })
})
