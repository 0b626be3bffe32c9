import { createHash, randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { verifyDowngradeAuthorization } from '../../keys/assignment.ts'
import { parseDocument } from '../../keys/document.ts'
import { createFileDurable } from '../../keys/platform/durable.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { MAX_AUTHORIZATION_MS } from '../../schema/downgrade-authorization.ts'
import { parseDuration } from '../../schema/duration.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import { hostIdShape } from '../../schema/rest.ts'
import { decideDowngrade } from '../../schema/upgrade-path.ts'
import { channelOf, type Version } from '../../schema/version.ts'
import { utcSeconds } from '../edit.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { signAll, standingOf, standingWords } from '../signing.ts'
import { type SignerOptions, type Workshop, withLockedWorkshop } from '../workshop.ts'
import {
  type CommandContext,
  collect,
  type SharedOptions,
  versionArgument,
  withShared,
  withSigners,
} from './context.ts'

interface AuthorizeOptions extends SharedOptions, SignerOptions {
  readonly host: readonly string[]
  readonly from: Version
  readonly to: Version
  readonly reason: string
  readonly expires: string
  readonly out: string
  readonly offline?: boolean
}

/** A host's clock may stand behind this one. */
const SKEW_MS = 300_000

/** Adds `authorize-downgrade`. */
export function addAuthorizeDowngrade(program: Command, context: CommandContext): void {
  const host = new Option('--host <id>', 'a host that may go down, by its id; repeat for several').argParser(collect)
  withSigners(withShared(program.command('authorize-downgrade')))
    .description('sign that named hosts may be sent down from one version to another, once')
    .addOption(host.makeOptionMandatory())
    .requiredOption('--from <version>', 'what they run', versionArgument)
    .requiredOption('--to <version>', 'where they may go', versionArgument)
    .requiredOption('--reason <words>', 'why; hosts keep it')
    .option('--expires <duration>', 'for how long it is good, 7d at most', '7d')
    .requiredOption('--out <file>', 'where the signed authorisation goes')
    .option('--offline', 'from what was verified here before, without a network')
    .action((options: AuthorizeOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish authorize-downgrade', (workshop) =>
          authorize(workshop, options),
        ),
      ),
    )
}

async function authorize(workshop: Workshop, options: AuthorizeOptions): Promise<void> {
  const { machine, config, output } = workshop
  const { from, to } = options
  const lifetimeMs = checkOptions(options)
  const keyrings = await workshop.openKeyrings(options)
  const repository = options.offline ? await workshop.offline() : await workshop.refresh()
  const signed = await buildAuthorization(repository, options, {
    product: config.product,
    now: machine.clock.now(),
    lifetimeMs,
  })
  const channel = channelOf(to)
  const documents = await signAll([{ role: channel, signed }], keyrings)
  const bytes = documents.get(channel) ?? new Uint8Array()
  const standing = standingOf(parseDocument(bytes), roleKeysOf(repository.targets, channel), config.holders)
  if (!standing.complete) {
    throw new PublishError('unsigned', standingWords(`the way down to ${to}`, standing), {
      role: channel,
      standing,
      state: 'Nothing was written.',
      next: ['the same command with one more --signer NAME'],
    })
  }
  const { value } = verifyDowngradeAuthorization(repository.targets, to, bytes)
  const file = resolve(machine.cwd, options.out)
  await createFileDurable(machine.disk, file, bytes, 0o644)
  const expires = utcSeconds(value.expires)
  const next = [`netlink-admin hosts pin ${value.hosts[0]} --to ${to} --authorization ${options.out}`]
  output.answer(
    'netlink.publish.authorize-downgrade/v1',
    { file, hosts: value.hosts, from, to, expires, nonce: value.nonce, signed_by: standing.have, next },
    `${renderFields(
      [
        ['way', `${from} → ${to}`],
        ['hosts', value.hosts.join(', ')],
        ['until', expires],
        ['signed by', standing.have.join(', ')],
        ['written to', options.out],
      ],
      { color: false },
    )}Next: ${next.join('\n')}`,
  )
}

function checkOptions({ host, reason, expires }: AuthorizeOptions): number {
  const stranger = host.find((id) => !hostIdShape.safeParse(id).success)
  if (stranger !== undefined)
    throw new PublishError('usage', `${JSON.stringify(stranger)} is no host id: expected h_ and 32 digits`, {
      state: 'Nothing was written.',
      next: ['netlink-admin hosts list'],
    })
  if (reason.trim() === '') throw new PublishError('usage', '--reason is empty: hosts keep it')
  const lifetimeMs = parseDuration(expires)
  if (lifetimeMs > 0 && lifetimeMs <= MAX_AUTHORIZATION_MS) return lifetimeMs
  throw new PublishError('usage', `--expires takes up to 7d, not ${expires}`, { state: 'Nothing was written.' })
}

/** From and to by the very manifests that are published. Throws PublishError `policy` where hosts would refuse because the installed release allows no such way. */
async function buildAuthorization(
  repository: Repository,
  { host, from, to, reason }: AuthorizeOptions,
  facts: { readonly product: string; readonly now: Date; readonly lifetimeMs: number },
): Promise<JsonObject> {
  const leaving = await repository.loadManifest(from)
  const target = await repository.loadManifest(to)
  const path = decideDowngrade({ from, to, downgradeTo: leaving.value.compatibility.downgrade_to })
  if (path.kind === 'blocked')
    throw new PublishError('policy', path.reason, {
      state: 'Nothing was written.',
      next: [`release ${to} again under a greater version: netlink-publish release VERSION --from DIR`],
    })
  const notBefore = facts.now.getTime() - SKEW_MS
  const expires = Math.min(facts.now.getTime() + facts.lifetimeMs, notBefore + MAX_AUTHORIZATION_MS)
  return {
    _type: 'downgrade-authorization',
    schema: 'netlink.downgrade-authorization/v1',
    product: facts.product,
    hosts: [...new Set(host)],
    from: { version: from, manifest_sha256: sha256(leaving.bytes) },
    to: { version: to, manifest_sha256: sha256(target.bytes) },
    reason: reason.trim(),
    not_before: utcSeconds(new Date(notBefore)),
    expires: utcSeconds(new Date(expires)),
    nonce: randomBytes(16).toString('hex'),
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
