import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { parseShape } from '../../schema/parse-shape.ts'
import { findOddLength, readShape } from '../../schema/read-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'

const ODD = { length: { valueOf: 1, toString: 1 } }
const shape = z.object({ name: z.string().min(1).max(8), list: z.array(z.string()).max(2).optional() })

describe('an object with a length of its own', () => {
  test.each([
    ['a text', { name: ODD }, '/name/length'],
    ['a list', { name: 'a', list: ODD }, '/list/length'],
    ['a text without a prototype', { name: { length: Object.create(null) } }, '/name/length'],
    ['a text, in a list of such', { name: { length: [Object.create(null)] } }, '/name/length'],
  ])('in the place of %s is refused, not thrown over', (_, value, pointer) => {
    expect(readShape(shape, value).success).toBe(false)
    expect(() => parseShape(shape, value, 'FILE')).toThrow(ShapeError)
    expect(() => parseShape(shape, value, 'FILE')).toThrow(pointer)
    expect(readShape(shape, { name: 'a', list: ['b'] })).toEqual({ success: true, data: { name: 'a', list: ['b'] } })
  })

  test('is found wherever it stands, and a length that counts is not one', () => {
    expect(findOddLength([{ a: { length: 1 } }, { b: ODD }])).toEqual(['1', 'b', 'length'])
    expect(findOddLength([{ length: 1 }, { length: 'x' }, { length: null }])).toBeUndefined()
  })

  test('is found at any depth without using up the stack or the memory', () => {
    const deep = 300_000
    expect(findOddLength(JSON.parse(`${'['.repeat(deep)}{"length":{}}${']'.repeat(deep)}`))).toHaveLength(deep + 1)
  })

  test('excuses no failure of a shape itself', () => {
    const broken = z.string().transform(() => {
      throw new TypeError('a mistake in the shape')
    })
    expect(() => readShape(broken, 'a')).toThrow('a mistake in the shape')
  })
})
