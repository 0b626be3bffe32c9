// Parsers that break the rule on purpose: what finds nothing with these would find nothing at all.
import { same, type Target } from './target.ts'

const KNOWN_BYTES = 4

/** Each breaks it in one way, at any length but that of its corpus. */
export const controlTargets: readonly Target[] = [
  control('throws', () => {
    throw new RangeError('somebody forgot this case')
  }),
  control('lies', (input) => same('two readers', input.length, input.length + 1)),
  control('hangs', () => {
    for (;;);
  }),
  control('burns', () => {
    const { user } = process.threadCpuUsage()
    while (process.threadCpuUsage().user - user < 1_100_000);
  }),
  control('swells', () => {
    const kept: unknown[] = []
    for (;;) kept.push(Array(10_000).fill('eaten'))
  }),
]

function control(name: string, breakRule: (input: Uint8Array) => void): Target {
  return {
    name: `control-${name}`,
    form: 'text',
    tokens: ['!', 'odd'],
    refusals: [SyntaxError],
    read: (input) => {
      if (input.length !== KNOWN_BYTES) breakRule(input)
    },
  }
}
