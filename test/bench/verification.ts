// What it takes to believe one manifest that three people signed: the role that lists it, its three signatures, its hashes, its shape. Each algorithm alone
// and the three together; the rest is reading.
import { canonicalBytes } from '../../keys/canonical.ts'
import { parseDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { verifySignature } from '../../keys/signature.ts'
import { generateEd25519, type Signer } from '../../keys/signer.ts'
import { roleTypes, targetIn, trustRoot, verifyRole, verifyTarget } from '../../keys/verified.ts'
import { manifestShape } from '../../schema/manifest.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { SimRepository } from '../sim/repository.ts'
import { ecdsaSigner, rsaSigner } from '../sim/signers.ts'
import { type Figure, inWords, median } from './figure.ts'

const ROUNDS = 300
const LIMIT_MS = 5

const kinds: readonly [name: string, sign: () => Signer][] = [
  ['Ed25519', () => generateEd25519().signer],
  ['P-256', () => ecdsaSigner()],
  ['RSA-PSS', () => rsaSigner()],
]

export async function verification(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [name, make] of kinds) figures.push(await figureOf(`three of ${name}`, [make(), make(), make()]))
  figures.push(
    await figureOf(
      'one of each kind',
      kinds.map(([, make]) => make()),
    ),
  )
  return figures
}

async function figureOf(who: string, signers: readonly Signer[]): Promise<Figure> {
  const { all, signatures, shares } = measure(await signedBy(signers))
  return {
    what: `one manifest in a role of 20, signatures: ${who}`,
    ours: inWords(all),
    peer: `signatures ${inWords(signatures)}: ${shares}`,
    ratio: (signatures / all).toFixed(2),
    goal: `under ${LIMIT_MS} ms (the ratio is the signatures' share)`,
    held: all < LIMIT_MS,
  }
}

interface Signed {
  readonly targets: ReturnType<typeof targetsOf>
  readonly alpha: Uint8Array
  readonly manifest: Uint8Array
  readonly signers: readonly Signer[]
}

/** A repository of twenty releases whose channel needs all three. */
async function signedBy(signers: readonly Signer[]): Promise<Signed> {
  const repo = await SimRepository.create()
  repo.rotateKeys('alpha')
  const { keyids } = repo.targetsRole('targets').delegations?.roles.find(({ name }) => name === 'alpha') ?? {}
  keyids?.splice(0)
  repo.signers.set('alpha', [])
  for (const signer of signers) repo.addKey('alpha', signer)
  repo.setThreshold('alpha', 3)
  await repo.publish('targets')
  let manifest = new Uint8Array()
  for (let minor = 1; minor <= 20; minor++) manifest = new Uint8Array(await repo.release(`0a${minor}`))
  const alpha = repo.file(`${repo.role('alpha').version}.alpha.json`)
  return { targets: targetsOf(repo), alpha, manifest, signers }
}

function targetsOf(repo: SimRepository) {
  const root = trustRoot(repo.file('1.root.json'))
  return verifyRole(root, 'targets', roleTypes.targets, repo.file(`${repo.role('targets').version}.targets.json`))
}

function measure({ targets, alpha, manifest, signers }: Signed) {
  const path = manifestPath(parseVersion('0a20'))
  const document = parseDocument(alpha)
  const message = canonicalBytes(document.signed as JsonObject)
  const all: number[] = []
  const each = signers.map(() => [] as number[])
  for (let round = 0; round < ROUNDS; round++) {
    all.push(
      timedOnce(() => {
        const target = targetIn(verifyRole(targets, 'alpha', roleTypes.targets, alpha), path)
        if (target === undefined) throw new Error('expected 0a20')
        verifyTarget(target, manifest, manifestShape)
      }),
    )
    for (const [index, { publicKey }] of signers.entries()) {
      const sig = Buffer.from(document.signatures.find(({ keyid }) => keyid === publicKey.keyid)?.sig ?? '', 'hex')
      each[index]?.push(
        timedOnce(() => {
          if (!verifySignature(publicKey, message, sig)) throw new Error('expected a good signature')
        }),
      )
    }
  }
  const single = each.map(median)
  const signatures = single.reduce((sum, ms) => sum + ms, 0)
  const whole = median(all)
  const words = single.map((ms, index) => `${signers[index]?.publicKey.keytype} ${((100 * ms) / whole).toFixed(0)} %`)
  return { all: whole, signatures, shares: words.join(', ') }
}

function timedOnce(work: () => void): number {
  const start = performance.now()
  work()
  return performance.now() - start
}
