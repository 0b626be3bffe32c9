import fc from 'fast-check'
import { buildVersion, channels, type Version } from '../../schema/version.ts'

/** SemVer pre-release identifiers and those that only this project allows (leading zeros). */
const identifier = fc.oneof(
  fc.nat(20).map(String),
  fc.constantFrom('0', '00', '01', '10', '9', '99999999999999999999', 'a', 'A', 'b', '-', '0a', 'rc', 'x-1'),
)
export const build = fc.array(identifier, { minLength: 1, maxLength: 3 }).map((words) => words.join('.'))

/** Versions that lie close together, so that every rule of the order decides some of the pairs. */
export const version: fc.Arbitrary<Version> = fc
  .record({
    major: fc.constantFrom(0, 1, 2, 10),
    letter: fc.constantFrom('a' as const, 'b' as const, 'r' as const),
    minor: fc.oneof(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 1_200 }),
      fc.constant(999_999_999_999_999),
    ),
    build: fc.option(build, { nil: null }),
  })
  .map(buildVersion)

export const channel = fc.constantFrom(...channels)
