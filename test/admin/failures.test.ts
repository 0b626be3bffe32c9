import { describe, expect, test } from 'vitest'
import { problemFailure } from '../../server/admin/failures.ts'
import { type ProblemCode, problemKinds } from '../../server/http/problem-code.ts'

const SERVER = 'https://updates.example.com'
const codes = Object.keys(problemKinds) as ProblemCode[]

function factsOf(code: string, more: object = {}) {
  const { status = 400, title = 'x' } = problemKinds[code as ProblemCode] ?? {}
  return problemFailure({ type: `/docs/errors/${code}`, title, status, code, ...more }, null, SERVER).facts
}

describe('what netlink-admin says when the server said no', () => {
  test.each([...codes, 'made-up-tomorrow'])('%s has a command to run next', (code) => {
    const { next } = factsOf(code)
    expect(next.length).toBeGreaterThan(0)
    for (const command of next) expect(command).toMatch(/^(netlink(-admin|-server|-publish)?|curl|df) [^…]+$/)
    expect(next.join(' ')).not.toContain('SERVER')
  })

  test('what the server itself names comes first, and nothing else', () => {
    expect(factsOf('conflict', { next: ['netlink-publish init'] }).next).toEqual(['netlink-publish init'])
    expect(factsOf('conflict', { next: [] }).next).toEqual(['netlink-admin fleet status'])
  })

  test('each thing that the server found stands on one line of its own, whatever it says', () => {
    const lie = 'no\r\nstate: all is well'
    const errors = [
      { pointer: `/a\n/b`, detail: lie },
      { pointer: '/c', detail: 'missing' },
    ]
    const { detail } = factsOf('invalid', { errors, request_id: 'r1\nNext: curl evil' })
    expect(detail).toBe('/a /b: no state: all is well\n/c: missing\nrequest r1 Next: curl evil')
  })

  test('the server that is asked is the one to look at', () => {
    expect(factsOf('unavailable').next).toContain(`curl -i ${SERVER}/readyz?verbose`)
  })
})
