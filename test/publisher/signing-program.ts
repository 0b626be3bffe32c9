// A program that signs for a holder, with a key that no keyring has: well, or in one of the ways in which such programs fail.
import { generateKeyPairSync } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** How the program behaves when it is run next. */
export type Mood = 'sign' | 'fail' | 'hang' | 'junk' | 'flood' | 'other-key' | 'other-message' | 'silent'

export interface SigningProgram {
  /** What is handed to `keys import` after `--`. */
  readonly words: readonly string[]
  readonly publicFile: string
  become(mood: Mood): Promise<void>
}

/** Ed25519 through node, or P-256 through openssl; both really sign. */
export async function makeSigningProgram(
  folder: string,
  name: string,
  kind: 'node' | 'openssl',
): Promise<SigningProgram> {
  const pair =
    kind === 'node' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const other = kind === 'node' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const at = (ending: string) => join(folder, `${name}.${ending}`)
  await writeFile(at('pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(at('other.pem'), other.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  await writeFile(at('pub.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  await writeFile(at('mood'), 'sign')
  const script = at(kind === 'node' ? 'mjs' : 'sh')
  // In a folder of this test's own: a program is run only where nobody else could have changed it.
  await writeFile(script, kind === 'node' ? `#!${process.execPath}\n${NODE}` : OPENSSL)
  await chmod(script, 0o755)
  return {
    words: [script, at('pem')],
    publicFile: at('pub.pem'),
    become: (mood) => writeFile(at('mood'), mood),
  }
}

const NODE = `import { sign } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
const [, , file] = process.argv
const beside = (ending) => file.replace(/pem$/, ending)
const mood = readFileSync(beside('mood'), 'utf8')
const message = readFileSync(0)
const { NETLINK_SIGN_ROLE, NETLINK_SIGN_KEYID, NETLINK_TOKEN } = process.env
appendFileSync(beside('log'), JSON.stringify([NETLINK_SIGN_ROLE, NETLINK_SIGN_KEYID?.length, NETLINK_TOKEN ?? null, process.argv.length]) + '\\n')
if (mood === 'fail') { console.error('the \\u001b[31mdevice\\u001b[0m is on fire'); process.exit(3) }
if (mood === 'hang') setInterval(() => undefined, 1000)
else if (mood === 'junk') console.log('not a signature')
else if (mood === 'flood') process.stdout.write('ab'.repeat(1_000_000))
else if (mood !== 'silent') {
  const key = readFileSync(mood === 'other-key' ? beside('other.pem') : file)
  const signed = mood === 'other-message' ? Buffer.concat([message, Buffer.from(' ')]) : message
  console.log('  ' + sign(null, signed, key).toString('hex').toUpperCase())
}
`

const OPENSSL = `#!/bin/sh
set -eu
openssl dgst -sha256 -sign "$1" | od -An -v -tx1 | tr -d ' \\n'
`
