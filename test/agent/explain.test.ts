// What a person reads after an update that did not end where it should.
import { expect, test } from 'vitest'
import type { EngineCode } from '../../agent/engine/outcome.ts'
import { explainError, explainOutcome } from '../../agent/explain.ts'
import { ExpandError } from '../../agent/service/expand.ts'
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

test('where app.env lies is said in full: its folder is not there before the first install', () => {
  const paths = { appEnv: '/srv/netlink/config/app.env', appLog: '/srv/netlink/logs/app.log' }
  const next = ['edit /srv/netlink/config/app.env      (make it if it is not there)']
  const error = new ExpandError('unset', '${PORT} has no value')
  expect(explainError(error, { installed: null, paths })).toMatchObject({ code: 'E-ENVIRONMENT', exit: 2, next })
  const reason = { code: 'environment' as const, message: 'no value', step: 'preflight' as const, details: [] }
  const outcome = { kind: 'refused' as const, update_id: 'update_x', from: null, to: parseVersion('0a1'), reason }
  expect(explainOutcome(outcome, paths)).toMatchObject({ code: 'E-ENVIRONMENT', next })
})
