// `root …`: who may sign. Edits add up in pending/root-N until the change has all its signatures; with them it is published, unless there is no network.
import { type Command, Option } from 'commander'
import { fingerprintOf } from '../../keys/release.ts'
import { signatureNeeds } from '../../keys/signing-event.ts'
import type { HolderRole } from '../config.ts'
import { keyNamer, namedKeyOf } from '../holder-names.ts'
import { parsePassphraseFile } from '../passphrases.ts'
import { loadPending } from '../pending.ts'
import { requireRole } from '../public-keys.ts'
import { PublishError } from '../publish-error.ts'
import { standingsOf, verifyRootChange } from '../root/change.ts'
import { applyNewKey, applyRemovedKey, applyThreshold, holderRoles, type RootDraft } from '../root/edit.ts'
import { newHolderKeys, notAHolder, rotateOnline, rotatePerson } from '../root/keys.ts'
import { changeWords, describeRoles, forcedWords, rolesWords, standingLines } from '../root/words.ts'
import {
  changeRoot,
  openDraft,
  openForRoot,
  type RootOutcome,
  type RootWorkOptions,
  signCommand,
  signWaiting,
} from '../root/work.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, collect, type SharedOptions, withShared, withSigners } from './context.ts'

type RootOptions = SharedOptions & RootWorkOptions

interface AddOptions extends RootOptions {
  readonly public?: string
  readonly generate?: boolean
  readonly encrypt: boolean
  readonly threshold?: string
}

interface RotateOptions extends RootOptions {
  readonly role?: readonly HolderRole[]
  readonly public?: readonly string[]
  readonly onlineKeys?: string
}

/** Adds `root add-key|remove-key|set-threshold|rotate|sign|show|verify`. */
export function addRootCommands(program: Command, context: CommandContext): void {
  const root = program.command('root').description('who may sign: keys, thresholds, and what changes them')
  addAddKey(root, context)
  addRemoveKey(root, context)
  addSetThreshold(root, context)
  addRotate(root, context)
  addSign(root, context)
  addRootShow(root, context)
  addRootVerify(root, context)
}

function withRootFlags(command: Command): Command {
  return withSigners(withShared(command))
    .option('--offline', 'without a network: sign and keep, publish nothing')
    .option('--reason <words>', "why, for the server's audit log")
}

function withEditFlags(command: Command): Command {
  return withRootFlags(command)
    .option('--dry-run', 'say what would have to be signed, change nothing')
    .option('--allow-threshold-equals-keys', 'accept that one lost key ends the repository')
}

function roleOption(words: string): Option {
  return new Option('--role <role>', words).choices(holderRoles).argParser(collect)
}

type Edit = (workshop: Workshop, draft: RootDraft) => Promise<RootDraft>

function editing(context: CommandContext, name: string, options: RootOptions, edit: Edit): Promise<void> {
  const command = `netlink-publish root ${name} …`
  return context.perform(options, 'answer', (output) =>
    withLockedWorkshop(context.machine, output, options, `netlink-publish root ${name}`, async (workshop) =>
      answerRoot(workshop, await changeRoot(workshop, { ...options, command }, (draft) => edit(workshop, draft))),
    ),
  )
}

/** Says how a change stands. */
export function answerRoot({ output, config }: Workshop, outcome: RootOutcome): void {
  const { subject, changes, forced, standings, state } = outcome
  const next = {
    unchanged: [],
    checked: [],
    published: [],
    waiting: [signCommand(subject, config.folder, 'NAME')],
    complete: [`netlink-publish publish ${subject} --dir ${config.folder}`],
  }[state]
  const summary = {
    unchanged: 'nothing would change; nothing waits to be signed',
    checked: `${subject} could be signed; nothing was kept`,
    published: `${subject} is published`,
    waiting: `${subject} waits for signatures`,
    complete: `${subject} has every signature it needs and is not published yet`,
  }[state]
  const lines = [...changes, ...forcedWords(forced), ...standingLines(standings)].map((line) => `  ${line}`)
  output.answer(
    'netlink.publish.root/v1',
    { subject, state, changes, forced, documents: standings, next },
    [summary, ...lines, ...next.map((line) => `Next: ${line}`)].join('\n'),
  )
}

// ---- people joining and leaving --------------------------------------------------------------------------------------------------

function addAddKey(root: Command, context: CommandContext): void {
  withEditFlags(root.command('add-key').argument('<name>', 'who is to hold keys'))
    .description('one more holder: a key for root and one for each channel')
    .option('--public <file>', 'their public keys, as `keys generate --json` prints them on their machine')
    .option('--generate', 'make their keyring here: keys/NAME.age')
    .option('--no-encrypt', 'keep that keyring in the clear: for disks that are protected in another way')
    .option('--threshold <number>', 'how many must sign from then on, for root and every channel')
    .action((name: string, options: AddOptions) => {
      // The new holder's passphrase protects the keyring; it is no wish to sign, unless they are named among the signers.
      const mine = (file: string) => parsePassphraseFile(file).holder === name
      const isSigner = options.signer?.includes(name) === true
      const passphraseFile = options.passphraseFile?.filter((file) => isSigner || !mine(file)) ?? []
      const own = options.passphraseFile?.find(mine)
      return editing(context, 'add-key', { ...options, passphraseFile }, async (workshop, draft) => {
        const keys = await newHolderKeys(workshop, name, options, own)
        const joined = holderRoles.reduce(
          (before, role) => applyNewKey(before, role, requireRole(keys, role, name), name),
          draft,
        )
        return withThreshold(joined, holderRoles, options.threshold)
      })
    })
}

function addRemoveKey(root: Command, context: CommandContext): void {
  withEditFlags(root.command('remove-key').argument('<name>', 'whose keys count no longer'))
    .description('one holder less, for root and every channel; what only they signed is signed again')
    .option('--threshold <number>', 'how many must sign from then on, for root and every channel')
    .action((name: string, options: RootOptions & { threshold?: string }) =>
      editing(context, 'remove-key', options, async ({ config }, draft) => {
        const named = holderRoles.flatMap((role) => {
          const keyid = namedKeyOf(config.holders, draft, role, name)
          return keyid === undefined ? [] : [{ role, keyid }]
        })
        if (named.length === 0) throw notAHolder(draft, config.holders, name)
        const left = named.reduce((before, { role, keyid }) => applyRemovedKey(before, role, keyid), draft)
        return withThreshold(left, holderRoles, options.threshold)
      }),
    )
}

// ---- thresholds ------------------------------------------------------------------------------------------------------------------

function addSetThreshold(root: Command, context: CommandContext): void {
  withEditFlags(root.command('set-threshold').argument('<number>', 'how many must sign'))
    .description('how many signatures root and channels need')
    .addOption(roleOption('for which roles; root and every channel unless said; repeat for several'))
    .action((number: string, options: RootOptions & { role?: readonly HolderRole[] }) =>
      editing(context, 'set-threshold', options, async (_, draft) =>
        withThreshold(draft, options.role ?? holderRoles, number),
      ),
    )
}

function withThreshold(draft: RootDraft, roles: readonly HolderRole[], text: string | undefined): RootDraft {
  if (text === undefined) return draft
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new PublishError('usage', `a threshold of ${text} protects nothing`)
  return roles.reduce((before, role) => applyThreshold(before, role, Number(text)), draft)
}

// ---- other keys ------------------------------------------------------------------------------------------------------------------

function addRotate(root: Command, context: CommandContext): void {
  withEditFlags(root.command('rotate').argument('[names...]', 'who gets a new key'))
    .description('new keys for the same people, or for the server; a new root is signed by old and new')
    .addOption(roleOption('for which roles; root unless said; repeat for several'))
    .addOption(
      new Option('--public <name=file>', 'new public keys that somebody made elsewhere; repeat').argParser(collect),
    )
    .option('--online-keys <file>', "the server's keys from then on, as `netlink-server keys export` prints them")
    .action((names: readonly string[], options: RotateOptions) =>
      editing(context, 'rotate', options, async (workshop, draft) => {
        if (names.length === 0 && options.onlineKeys === undefined)
          throw new PublishError('usage', 'say whose keys: NAME, or --online-keys FILE')
        let after = draft
        for (const name of names) after = await rotatePerson(workshop, after, name, options)
        return options.onlineKeys === undefined ? after : rotateOnline(workshop, after, options.onlineKeys)
      }),
    )
}

// ---- signing and looking ---------------------------------------------------------------------------------------------------------

function addSign(root: Command, context: CommandContext): void {
  withRootFlags(root.command('sign'))
    .description('sign the root change that waits here, and publish it if that is enough')
    .action((options: RootOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish root sign', async (workshop) => {
          const repository = await openForRoot(workshop, options)
          const { subject } = await openDraft(workshop, repository)
          const only = workshop.config.holders.length === 1 ? workshop.config.holders.map(({ name }) => name) : []
          const signer = options.signer ?? (options.passphraseFile === undefined ? only : undefined)
          const asked = signer === undefined ? options : { ...options, signer }
          answerRoot(
            workshop,
            await signWaiting(workshop, asked, repository, { subject, command: 'netlink-publish root sign' }),
          )
        }),
      ),
    )
}

function addRootShow(root: Command, context: CommandContext): void {
  withShared(root.command('show'))
    .description('who may sign, and what waits to be signed')
    .option('--offline', 'from the trusted copy in the folder, without the server')
    .action((options: RootOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish root show', (workshop) =>
          show(workshop, options),
        ),
      ),
    )
}

async function show(workshop: Workshop, options: RootOptions): Promise<void> {
  const { output, config, machine, layout } = workshop
  const repository = await openForRoot(workshop, options)
  const { subject, draft, isWaiting } = await openDraft(workshop, repository)
  const nameOf = keyNamer(config.holders, [draft.published], draft)
  const { version, expires, product } = repository.trusted.root.value
  const roles = describeRoles(draft.published, nameOf)
  const pending = isWaiting ? await loadPending(machine.disk, layout.pending, subject) : undefined
  const documents = pending?.change.documents ?? new Map()
  const needs = signatureNeeds({ root: repository.trusted.root, targets: repository.targets }, documents)
  const standings = standingsOf(documents, needs, nameOf)
  const changes = isWaiting ? changeWords(draft.published, draft, nameOf) : []
  const fields = {
    ...{ product: product ?? null, version, expires: String(draft.published.root.expires), roles },
    fingerprint: fingerprintOf(repository.trusted.root.bytes),
    waiting: isWaiting ? { subject, changes, documents: standings } : null,
  }
  const waiting = isWaiting
    ? [`${subject} waits to be signed:`, ...[...changes, ...standingLines(standings)].map((line) => `  ${line}`)]
    : ['no change of root waits here']
  const head = `root v${version} of ${product ?? 'no product'}, expires ${expires.toISOString().slice(0, 10)}, sha256 ${fields.fingerprint}`
  output.answer('netlink.publish.root.show/v1', fields, [head, rolesWords(roles), ...waiting].join('\n'))
}

function addRootVerify(root: Command, context: CommandContext): void {
  withShared(root.command('verify'))
    .description('whether what waits has every signature it needs, by the functions that hosts run')
    .option('--offline', 'over the trusted copy in the folder, without the server')
    .action((options: RootOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish root verify', async (workshop) => {
          const repository = await openForRoot(workshop, options)
          const { subject } = await openDraft(workshop, repository)
          const pending = await loadPending(workshop.machine.disk, workshop.layout.pending, subject)
          const { version } = repository.trusted.root.value
          if (pending === undefined) {
            const fields = { version, waiting: null }
            return output.answer(
              'netlink.publish.root.verify/v1',
              fields,
              `root v${version} verifies; no change waits here`,
            )
          }
          await verifyRootChange(repository, subject, pending.change.documents, workshop.machine.clock.now())
          const fields = { version, waiting: subject }
          output.answer(
            'netlink.publish.root.verify/v1',
            fields,
            `${subject} verifies: hosts at root v${version} will follow it`,
          )
        }),
      ),
    )
}
