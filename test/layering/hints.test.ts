// A hint is there to be copied: every command that a program tells a person to run exists, with every flag that it names.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { type CommandNode, loadTrees, type ProgramName, programs } from './command-trees.ts'

const root = join(import.meta.dirname, '..', '..')

/** Sentences that begin like a command, by their first word. */
const PROSE: readonly string[] = ['netlink or', 'netlink supervisor', 'netlink-admin is', 'netlink-publish is']
/** `netlink fleet …` runs netlink-admin, where it is installed (agent/program.ts). */
const DISPATCHED = 'netlink fleet'
/** Files that put a command together: those of the agent from words that are looked at here too, the others only to name a process. */
const MADE: readonly string[] = [
  'agent/commands/help.ts',
  'agent/commands/installing.ts',
  'agent/commands/through-socket.ts',
  'agent/commands/tree.ts',
  'agent/program.ts',
  'agent/worker.ts',
  'publisher/commands/reading.ts',
  'server/commands/local.ts',
]

interface Hint {
  readonly file: string
  readonly program: ProgramName
  /** What follows the program: `['token', 'create', '--dir', '${dir}']`. */
  readonly words: readonly string[]
}

const hints = ['schema', 'keys', 'publisher', 'server', 'agent'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => hintsIn(`${folder}/${name}`, readFileSync(join(root, folder, name), 'utf8'))),
)

let trees: ReadonlyMap<ProgramName, CommandNode>
beforeAll(async () => {
  trees = await loadTrees()
}, 120_000)

describe('every command that a program tells a person to run', () => {
  test('is looked for in sources that have many, and in programs that have commands', () => {
    for (const program of programs) {
      expect(trees.get(program)?.children.size, program).toBeGreaterThan(2)
      expect(hints.filter((hint) => hint.program === program).length, program).toBeGreaterThan(15)
    }
    const flags = hints.flatMap(({ words }) => words.filter((word) => word.startsWith('--')))
    expect(flags.length).toBeGreaterThan(80)
  })

  test('exists, with its flags', () => {
    expect(hints.flatMap((hint) => problemOf(hint) ?? [])).toEqual([])
  })

  test('is written out where it is said, but for a few places', () => {
    const made = hints.filter(({ words: [first = ''] }) => first.startsWith('${')).map(({ file }) => file)
    expect([...new Set(made)].toSorted()).toEqual(MADE.toSorted())
  })

  test.each([
    ['netlink-publish seal 0a1', /no command seal/],
    ['netlink-publish keys burn', /no command burn/],
    ['netlink backup create', /no command backup/],
    ['netlink-server serve --drive srv', /no flag --drive/],
    ['netlink-admin --servr URL', /no flag --servr/],
    ['netlink-publish check VERSION --form DIR', /no flag --form/],
    ['netlink-publish yank ${version} --redo', /no flag --redo/],
    ['netlink-server token create --scope read; then --name is known', undefined],
    ['netlink-publish keys list', undefined],
    ['netlink-admin hosts list --where x --server URL', undefined],
    ['netlink-server doctor${dirFlag(dir)}', undefined],
    ['netlink update status for more.', undefined],
    ['netlink-publish root --help      (edits wait)', undefined],
  ])('%s', (text, problem) => {
    const [hint] = hintsIn('here', `'${text}'`)
    expect(hint && problemOf(hint)).toEqual(problem === undefined ? undefined : expect.stringMatching(problem))
  })
})

/** Every mention of a program that is followed by a word, up to the end of its text, line or clause; comments are for us. */
function hintsIn(file: string, source: string): Hint[] {
  const code = source
    .replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
    .replaceAll(/\s\/\/ .*$/gm, '')
    .replaceAll('\\n', '\n')
  const mentions = code.matchAll(/\b(netlink(?:-publish|-server|-admin)?)((?: +[^\s'"`]+)+)/g)
  // The agent's commands say what they are without the program: `netlink ${command} --yes`.
  const bare = file.startsWith('agent/commands/') ? code.matchAll(/()['`](update [a-z][^'"`\n]*)/g) : []
  return [...mentions, ...[...bare].map(([, , words]) => ['', 'netlink', words])]
    .map(([, program = '', words = '']) => ({ file, program: program as ProgramName, words: clauseOf(words) }))
    .filter(({ program, words: [first] }) => ![...PROSE, DISPATCHED].includes(`${program} ${first}`))
}

/** `token create --scope read; then --name` ends at the semicolon. */
function clauseOf(text: string): readonly string[] {
  // A remark in brackets and the next program of a pipe are no words of this one.
  const words = (text.split(/ (?=\||&&|\()/)[0] ?? '').trim().split(/ +/)
  const end = words.findIndex((word) => /[.,;:)…]$/.test(word))
  const clause = end === -1 ? words : words.slice(0, end + 1)
  return clause.map((word) => word.replace(/(?<=.)\$\{.*/, '').replace(/[.,;:)…]+$/, ''))
}

/** Follows the words as long as there are groups; what comes after a command are its arguments. */
function problemOf({ file, program, words }: Hint): string | undefined {
  let at = trees.get(program)
  const flags = new Set(at?.flags)
  const told = `${file}: ${program} ${words.join(' ')}`
  for (const word of words) {
    if (word === '--') continue // `--${kind}`
    if (word.startsWith('-')) {
      const [flag = ''] = word.split('=')
      if (!flags.has(flag)) return `${told}: no flag ${flag}`
      continue
    }
    if (!at || at.children.size === 0) continue
    // Which command it is will be known when it is said, or is the reader's own word.
    if (word.startsWith('${') || /^[A-Z]+$/.test(word)) return undefined
    at = at.children.get(word)
    if (!at) return `${told}: no command ${word}`
    for (const flag of at.flags) flags.add(flag)
  }
  return undefined
}
