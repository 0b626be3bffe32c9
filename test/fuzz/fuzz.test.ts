// Every parser that reads bytes from elsewhere gets a value or refuses by name, soon, whatever the bytes are. README.md says how to let it run for longer.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadCorpus } from './corpus.ts'
import type { Finding } from './fuzzing.ts'
import { loadTargets, type Orders, type Result } from './player.ts'
import { runPlayer } from './run-player.ts'

const seconds = Number(process.env.FUZZ_SECONDS ?? '0')
const only = process.env.FUZZ_ONLY?.split(',') ?? []
/** So long may the process stand still at one input: a machine under load included, and an hour at the lowest priority. */
const STUCK_MS = seconds > 60 ? 120_000 : 30_000
/** Not below the temporary folder, which goes with the tests. */
const FOUND = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'netlink-fuzz')

describe('a parser that reads bytes from elsewhere', () => {
  test('stands in the table of README.md, each once', async () => {
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
    const table = readme.slice(readme.indexOf('| target |'), readme.indexOf('Not here:'))
    const firstColumn = [...table.matchAll(/^\|([^|]+)\|/gm)].map(([, cell = '']) => cell)
    const named = firstColumn.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name))
    const targets = await loadTargets([])
    expect(named.sort()).toEqual(targets.map(({ name }) => name).sort())
  })

  test('has a corpus to begin with, and takes some of it', async () => {
    const targets = await loadTargets([])
    expect(targets.length).toBeGreaterThan(75)
    for (const target of targets) {
      const inputs = loadCorpus(target.name)
      const taken = await Promise.all(inputs.map((input) => Promise.resolve(input).then(target.read).then(yes, no)))
      expect(taken, target.name).toContain(true)
    }
  })

  test(
    'returns a value or refuses by name, and soon',
    async () => {
      const seed = Number(process.env.FUZZ_SEED ?? (seconds > 0 ? Date.now() % 2 ** 31 : 1))
      const until =
        seconds > 0 ? ({ kind: 'seconds', seconds } as const) : ({ kind: 'executions', count: 150 } as const)
      const { findings, played, heapBytes } = await run({ seed, until, only })
      if (seconds > 0) console.log(`${report(seed, played)}\nheap ${heapBytes >> 20} MiB`)
      expect(findings.map(keep)).toEqual([])
      expect(played.length).toBeGreaterThan(0)
      for (const { executions, target } of played) expect(executions, target).toBeGreaterThan(20)
    },
    seconds > 0 ? (seconds + 300) * 1000 : 60_000,
  )

  test('and those that throw, lie or burn are found out', async () => {
    const only = ['control-throws', 'control-lies', 'control-burns']
    const { findings } = await run({ seed: 1, until: { kind: 'executions', count: 2 }, only })
    const words = ['RangeError: somebody forgot this case', 'BrokenProperty: two readers', 'ms of CPU time']
    for (const [at, target] of only.entries()) {
      const found = findings.find((one) => one.target === target)
      expect(found?.what ?? '', target).toContain(words[at])
      expect(found?.input.length).not.toBe(4)
    }
  }, 120_000)

  test.for([
    ['hangs', 'did not come back'],
    ['swells', 'memory'],
  ] as const)('and one that %s is found out', { timeout: 120_000 }, async ([how, words]) => {
    const until = { kind: 'executions', count: 30 } as const
    const { findings } = await run({ seed: 1, until, only: [`control-${how}`] }, how === 'hangs' ? 1_000 : STUCK_MS)
    expect(findings[0]).toMatchObject({ target: `control-${how}`, what: expect.stringContaining(words) })
    expect(findings[0]?.input.length).not.toBe(4)
  })
})

const yes = () => true
const no = () => false

function run(orders: Omit<Orders, 'file'>, stuckMs = STUCK_MS): Promise<Result> {
  return runPlayer(orders, stuckMs)
}

/** Where the input lies now, and what it does. */
function keep({ target, input, what }: Finding): string {
  const folder = join(FOUND, target)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(file, input)
  return `${target}: ${file}\n${what}`
}

function report(seed: number, played: Result['played']): string {
  const total = played.reduce((sum, { executions }) => sum + executions, 0)
  const rows = played.map(({ target, executions, outcomes }) => `${target}: ${executions} inputs, ${outcomes} outcomes`)
  return [`seed ${seed}, ${total} inputs`, ...rows].join('\n')
}
