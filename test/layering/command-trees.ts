// Every command of the four programs and its flags, as the programs themselves tell them.
import { tmpdir } from 'node:os'
import { groups, type Leaf, leaves } from '../../agent/commands/tree.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { readEnvironment } from '../../publisher/config.ts'
import { runProgram } from '../../publisher/program.ts'
import { runAdmin } from '../../server/admin/program.ts'
import { run } from '../world/programs.ts'

/** A program, a group or a command. A command has no children. */
export interface CommandNode {
  readonly children: ReadonlyMap<string, CommandNode>
  /** `--dir`, `-h`: its own ones. */
  readonly flags: ReadonlySet<string>
}

export const programs = ['netlink', 'netlink-publish', 'netlink-server', 'netlink-admin'] as const
export type ProgramName = (typeof programs)[number]

/** What is only announced counts as not there: nobody is helped by it. */
const ANNOUNCED = 'not in this version'
const SHARED = ['--help', '-h', '--json', '--no-color']

export async function loadTrees(): Promise<ReadonlyMap<ProgramName, CommandNode>> {
  return new Map<ProgramName, CommandNode>([
    ['netlink', agentTree()],
    ['netlink-publish', await treeOf(publisherHelp, [])],
    ['netlink-server', await treeOf(serverHelp, [])],
    ['netlink-admin', await treeOf(adminHelp, [])],
  ])
}

function agentTree(): CommandNode {
  const below = (children: readonly Leaf[]) =>
    children
      .filter(({ summary }) => !summary.includes(ANNOUNCED))
      .map(({ name, options = [] }) => {
        const flags = new Set([...SHARED, ...options.flatMap(([term]) => flagsOf(term))])
        return [name, { children: new Map(), flags }] as const
      })
  const grouped = groups
    .filter(({ summary }) => !summary.includes(ANNOUNCED))
    .map(({ name, children }) => [name, { children: new Map(below(children)), flags: new Set(SHARED) }] as const)
  return { children: new Map<string, CommandNode>([...grouped, ...below(leaves)]), flags: new Set(SHARED) }
}

type Help = (path: readonly string[]) => Promise<string>

async function treeOf(help: Help, path: readonly string[]): Promise<CommandNode> {
  const text = await help(path)
  const children = new Map<string, CommandNode>()
  for (const term of termsOf(text, 'Commands')) {
    const [name = ''] = term.split(' ')
    if (name !== 'help') children.set(name, await treeOf(help, [...path, name]))
  }
  return { children, flags: new Set(termsOf(text, 'Options').flatMap(flagsOf)) }
}

/** The left column of a part of commander's help. */
function termsOf(help: string, title: string): readonly string[] {
  const [, part = ''] = new RegExp(`\\n${title}:\\n((?: {2}.*\\n?)*)`).exec(help) ?? []
  return [...part.matchAll(/^ {2}(\S.*?)(?: {2,}|$)/gm)].map(([, term = '']) => term)
}

function flagsOf(term: string): readonly string[] {
  return [...term.matchAll(/(?:^|\s)(--?[a-z][\w-]*)/gi)].map(([, flag = '']) => flag)
}

async function publisherHelp(path: readonly string[]): Promise<string> {
  const told: string[] = []
  const streams = { stdout: (text: string) => void told.push(text), stderr: () => {}, columns: null, color: false }
  const machine = {
    disk: nodeDisk,
    clock: systemClock,
    cwd: tmpdir(),
    environment: readEnvironment({}),
    userAgent: 'netlink-publish/test',
    signal: new AbortController().signal,
    ask: undefined,
  }
  await runProgram([...path, '--help'], machine, streams, '0.0.0')
  return told.join('')
}

async function adminHelp(path: readonly string[]): Promise<string> {
  const told: string[] = []
  const unused = () => Promise.reject(new Error('help needs nothing of the machine'))
  const deps = {
    argv: [...path, '--help'],
    environment: {},
    stdout: (text: string) => void told.push(text),
    stderr: () => {},
    columns: null,
    readFile: unused,
    fileMode: unused,
    now: () => new Date(),
    sleep: unused,
    signal: new AbortController().signal,
    trustCa: () => {},
    fetch: unused,
  }
  await runAdmin(deps, '0.0.0')
  return told.join('')
}

/** This one reads the process when it is loaded, so it gets one of its own. */
async function serverHelp(path: readonly string[]): Promise<string> {
  return (await run(tmpdir(), 'netlink-server', [...path, '--help'])).stdout
}
