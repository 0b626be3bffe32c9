// A signer over a key that is in no keyring. Whatever made the signature, this tool's own verifier decides whether it is one before it is used.
import { verifySignature } from '../../keys/signature.ts'
import type { Signer } from '../../keys/signer.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { signByProgram } from './exec-signer.ts'
import { signByToken } from './pkcs11-signer.ts'
import type { SignCall, SignerDeps } from './sign-call.ts'
import { SignerError, withSignerFacts } from './signer-error.ts'
import type { ExternalKey, SignersFile } from './signers-file.ts'

/** One after the other: two programs that ask for a PIN or a touch at the same time confuse the person who is asked. After a refusal nothing more runs. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>

/** For the signers of one command. */
export function buildTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = last.then(work)
    last = mine
    return mine
  }
}

/** Signs with this key of a holder. `sign` throws SignerError; nothing it returns is unverified. */
export function buildExternalSigner(
  deps: SignerDeps,
  turns: Turns,
  { path, holder }: SignersFile,
  key: ExternalKey,
): Signer {
  const what = `${holder}'s ${key.role} key`
  const folder = path.slice(0, path.lastIndexOf('/')) || '/'
  const sign = async (message: Uint8Array): Promise<Uint8Array> => {
    const signature = await turns(() => signAt({ deps, what, folder, key, message })).catch((error: unknown) => {
      throw withSignerFacts(error, { holder })
    })
    if (verifySignature(key.publicKey, message, signature)) return signature
    throw new SignerError(
      'wrong-signature',
      `${what}: expected a signature by the registered key ${key.publicKey.keyid.slice(0, 16)}, and this is none: another key signed, or something else than what it was given`,
      { holder },
    )
  }
  return { publicKey: key.publicKey, sign }
}

function signAt(call: SignCall): Promise<Uint8Array> {
  const { place } = call.key
  switch (place.kind) {
    case 'exec':
      return signByProgram(call, place)
    case 'pkcs11':
      return signByToken(call, place.token)
    case 'elsewhere':
      throw new SignerError('not-here', `${call.what} signs on another machine: here only its public half is known`)
    default:
      return unreachable(place)
  }
}
