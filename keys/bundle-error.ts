import { EXIT } from '../schema/cli/exit-code.ts'
import type { FailureFacts } from '../schema/cli/failure.ts'
import { plainLine } from '../schema/cli/plain-text.ts'

/** Every way in which a file is no bundle that can be read. What a whole bundle says is refused with TrustError, as if a server had sent it. */
export type BundleErrorCode =
  | 'not-a-bundle' // begins otherwise, or is no regular file
  | 'newer' // of a form that this program does not know
  | 'truncated' // ends before its end
  | 'damaged' // bytes are not those that its index names, or the index contradicts itself
  | 'too-large' // the index names more than a bundle may hold

/** A file is no bundle, or no longer the one that was written. Nothing of it was used. */
export class BundleError extends Error {
  override readonly name = 'BundleError'
  readonly code: BundleErrorCode
  readonly path: string

  constructor(code: BundleErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.path = path
  }
}

/** The four-part error of a bundle that can't be read, exit status 7. */
export function explainBundleError({ code, message }: BundleError, state: string): FailureFacts {
  const title = {
    'not-a-bundle': 'this file is no bundle',
    newer: 'this bundle was made by a newer program',
    truncated: 'this bundle is cut off',
    damaged: 'this bundle is not as it was written',
    'too-large': 'this bundle names more than a bundle may hold',
  }[code]
  const next = ['copy the file again', 'netlink-publish bundle VERSION --out FILE']
  return { code: 'E-BUNDLE', exit: EXIT.unverified, title, detail: plainLine(`${message} (${code})`), state, next }
}
