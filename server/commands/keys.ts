// `netlink-server keys …`: the server's own keys. Their secrets never leave the folder; their public halves go to the publisher in a file.
//
//   planned     rotate timestamp --out both.json      netlink-publish root rotate --online-keys both.json      … some days …
//               export --newest --out new.json        netlink-publish root rotate --online-keys new.json       prune
//   emergency   rotate timestamp --at-once --out new.json   netlink-publish root rotate --online-keys new.json   prune
import { addKey, openKeyring, removeKeys } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { renderTable } from '../../schema/cli/table.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { loadConfig } from '../config.ts'
import type { OnlineKey, OnlineKeyRole } from '../core/online-keys.ts'
import { type Answer, type Machine, namedDir, type SharedOptions, usage } from './context.ts'
import { askLocal } from './local.ts'

const ROLES: readonly OnlineKeyRole[] = ['timestamp', 'snapshot', 'director']

/** Every key of this server and what root says of it. */
export async function listKeys(machine: Machine, options: SharedOptions): Promise<Answer> {
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {}, 'netlink-server keys list')
  const rows = keys.map((key) => [key.role, key.keyid.slice(0, 16), stateWords(key)])
  const columns = [{ title: 'role' }, { title: 'key' }, { title: 'state' }]
  return {
    schema: 'netlink.server.keys/v1',
    fields: { keys },
    text: renderTable(columns, rows, { color: machine.color, width: machine.columns }),
  }
}

/** Root names the keys of snapshot and timestamp; targets names the director's. */
function stateWords({ role, state }: OnlineKey): string {
  const who = role === 'director' ? 'targets' : 'root'
  switch (state) {
    case 'waiting':
      return `waits: ${who} does not name it yet`
    case 'named':
      return `signs: ${who} names it`
    case 'retired':
      return `retired: ${who} names it no longer, or names a newer one`
    case 'unknown':
      return `unknown: ${who} may have named it before; it is not exported`
    default:
      return unreachable(state)
  }
}

export interface RotateOptions extends SharedOptions {
  readonly out?: string
  readonly atOnce?: boolean
}

/**
 * Makes a new key for each of these roles and says what the publisher has to do with it. A key that waits already is not made again, unless it is to be the
 * only one at once: whoever stole the others may have that one too.
 */
export async function rotateKeys(machine: Machine, names: readonly string[], options: RotateOptions): Promise<Answer> {
  const asked = names.map(parseRole)
  const roles = ROLES.filter((role) => asked.includes(role))
  const config = await loadConfig(machine.disk, options.dir, { environment: machine.environment })
  const { result: before } = await askLocal(machine, options.dir, 'keys.list', {}, ROTATE)
  const waits = (role: OnlineKeyRole) => before.some((key) => key.role === role && key.state === 'waiting')
  const made: string[] = []
  for (const role of roles)
    if (options.atOnce || !waits(role)) made.push(await makeKey(machine, config.paths.onlineKeys, role))
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {}, ROTATE)
  const chosen = keys.filter(
    (key) => roles.includes(key.role) && (made.includes(key.keyid) || (!options.atOnce && isUsable(key))),
  )
  return answerExport(machine, options, chosen, keys)
}

const ROTATE = 'netlink-server keys rotate'

/** Resolves with its key id. */
async function makeKey(machine: Machine, path: string, role: OnlineKeyRole): Promise<string> {
  const deps = { disk: buildKeyFileDisk(machine.disk) }
  const { keys } = await openKeyring(deps, path, undefined)
  const name = freeName(keys, role)
  const added = (await addKey(deps, path, { name, role }, undefined)).keys.find((key) => key.name === name)
  if (added === undefined) throw new Error(`${path} does not hold ${name} although it was just written`)
  return added.signer.publicKey.keyid
}

function freeName(keys: readonly { readonly name: string }[], role: string): string {
  for (let number = keys.length; ; number++) {
    const name = `${role}-${number}`
    if (!keys.some((key) => key.name === name)) return name
  }
}

function parseRole(text: string): OnlineKeyRole {
  const role = ROLES.find((known) => known === text)
  if (role === undefined) throw usage(`${JSON.stringify(text)} is no role of a server`, `expected ${ROLES.join(', ')}`)
  return role
}

export interface ExportOptions extends SharedOptions {
  readonly out?: string
  readonly newest?: boolean
}

/** The public halves for `netlink-publish root rotate --online-keys`, and before there is a root for `netlink-publish init --online-keys`. */
export async function exportKeys(machine: Machine, options: ExportOptions): Promise<Answer> {
  const { result: keys } = await askLocal(machine, options.dir, 'keys.list', {}, 'netlink-server keys export')
  const usable = keys.filter(isUsable)
  const newest = ROLES.map((role) => usable.findLast((key) => key.role === role))
  return answerExport(machine, options, options.newest ? usable.filter((key) => newest.includes(key)) : usable, keys)
}

/** Whether it may go to a publisher: what was replaced once is never named again. */
function isUsable({ state }: OnlineKey): boolean {
  return state === 'named' || state === 'waiting'
}

async function answerExport(
  machine: Machine,
  options: { readonly dir: string; readonly out?: string },
  chosen: readonly OnlineKey[],
  keys: readonly OnlineKey[],
): Promise<Answer> {
  const online = Object.fromEntries(
    EXPORTED.flatMap((role) => {
      const objects = chosen.flatMap((one) => (one.role === role ? [one.key] : []))
      return objects.length === 0 ? [] : [[role, objects]]
    }),
  )
  const text = `${JSON.stringify({ online_keys: online }, null, 1)}\n`
  if (options.out !== undefined) await replaceFile(machine.disk, options.out, Buffer.from(text), 0o644)
  const lines = chosen.map((key) => `  ${key.role.padEnd(9)} ${key.keyid}  ${stateWords(key)}`)
  const next = nextStep(keys, chosen, { file: shellWord(options.out ?? 'FILE'), dir: namedDir(machine, options.dir) })
  return {
    schema: 'netlink.server.keys.export/v1',
    fields: { online_keys: online, out: options.out ?? null, keys, next: [next] },
    text: options.out === undefined ? text : `${options.out} names\n${lines.join('\n')}\nNext: ${next}\n`,
  }
}

/** In the order of their documents. */
const EXPORTED: readonly OnlineKeyRole[] = ['snapshot', 'timestamp', 'director']

/** The first root names every key; a server has none as long as no root names a key of its own. */
function nextStep(
  keys: readonly OnlineKey[],
  chosen: readonly OnlineKey[],
  { file, dir }: { readonly file: string; readonly dir: string | null },
): string {
  const hasRoot = keys.some(({ role, state }) => role !== 'director' && state !== 'waiting')
  if (hasRoot) return `netlink-publish root rotate --online-keys ${file}`
  const isWhole = ROLES.every((role) => chosen.some((key) => key.role === role))
  if (isWhole) return `netlink-publish init --online-keys ${file}`
  return `netlink-server keys export${dir === null ? '' : ` --dir ${shellWord(dir)}`} --out ${file}`
}

/** Removes the secrets of keys that root and targets name no longer. */
export async function pruneKeys(machine: Machine, options: SharedOptions): Promise<Answer> {
  const config = await loadConfig(machine.disk, options.dir, { environment: machine.environment })
  const own = 'netlink-server keys prune'
  const { result: keys, serving } = await askLocal(machine, options.dir, 'keys.list', {}, own)
  const idsOf = (state: OnlineKey['state']) => keys.flatMap((key) => (key.state === state ? [key.keyid] : []))
  const [retired, unknown] = [idsOf('retired'), idsOf('unknown')]
  if (retired.length > 0) {
    await removeKeys({ disk: buildKeyFileDisk(machine.disk) }, config.paths.onlineKeys, retired, undefined)
    if (serving) await askLocal(machine, options.dir, 'keys.reload', {}, own)
  }
  const lines = [
    ...(retired.length === 0 ? [] : [`removed: ${retired.join(', ')}`]),
    ...(unknown.length === 0
      ? []
      : [`kept, though targets may have named it before: ${unknown.join(', ')}; it goes once a newer one is named`]),
  ]
  const text = lines.length === 0 ? 'every key is one that root or targets names or will name' : lines.join('\n')
  return { schema: 'netlink.server.keys.prune/v1', fields: { removed: retired, unknown }, text: `${text}\n` }
}
