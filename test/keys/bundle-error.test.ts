import { expect, it } from 'vitest'
import { BundleError, type BundleErrorCode, explainBundleError } from '../../keys/bundle-error.ts'

it.each<[BundleErrorCode, string]>([
  ['not-a-bundle', 'this file is no bundle'],
  ['newer', 'this bundle was made by a newer program'],
  ['truncated', 'this bundle is cut off'],
  ['damaged', 'this bundle is not as it was written'],
  ['too-large', 'this bundle names more than a bundle may hold'],
])('%s: %s', (code, title) => {
  const cause = new Error('why')
  const error = new BundleError(code, '/a.bundle', 'a.bundle: two\nlines', { cause })
  expect(error).toMatchObject({ name: 'BundleError', code, path: '/a.bundle', cause })
  expect(explainBundleError(error, 'nothing was changed')).toEqual({
    code: 'E-BUNDLE',
    exit: 7,
    title,
    detail: expect.stringMatching(new RegExp(`^a\\.bundle: two[^\\n]+lines \\(${code}\\)$`)),
    state: 'nothing was changed',
    next: ['copy the file again', 'netlink-publish bundle VERSION --out FILE'],
  })
})
