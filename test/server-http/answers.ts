// What answers have to be.
import { expect } from 'vitest'

/** The answer's body, which must be a problem document of this status and code. */
export async function problemOf(answer: Response, status: number, code: string) {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  const problem = JSON.parse(text)
  expect(problem).toMatchObject({ code, status, type: `/docs/errors/${code}` })
  expect(problem.request_id).toBe(answer.headers.get('x-request-id'))
  return problem
}

/** The answer's body, which must be JSON. */
export async function jsonOf(answer: Response, status = 200) {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  return JSON.parse(text)
}
