// What a person reads after an update that did not end where it should.
import { expect, test } from 'vitest'
import type { EngineCode } from '../../agent/engine/outcome.ts'
import { explainOutcome } from '../../agent/explain.ts'
import { parseVersion } from '../../schema/version.ts'

test.each<[from: string | null, to: string, code: EngineCode, again: boolean]>([
  ['0a1', '0a2', 'crashed', true],
  [null, '0a2', 'not_ready', true],
  ['0a2', '0a1', 'crashed', false],
  ['0a1', '0a2', 'cancelled', false],
])('%s to %s, %s: the way to try again is named: %s', (from, to, code, again) => {
  const { next } = explainOutcome({
    kind: 'rolled_back',
    update_id: 'update_x',
    from: from === null ? null : parseVersion(from),
    to: parseVersion(to),
    reason: { code, message: 'it ended', step: 'ready', details: [] },
  })
  const log = 'netlink update log update_x'
  expect(next).toEqual(again ? [log, 'after fixing it: netlink update upgrade --to 0a2'] : [log])
})
