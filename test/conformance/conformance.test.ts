// Runs the public tuf-conformance suite against tuf-client:
//   TUF_CONFORMANCE   a checkout of the suite
//   PYTHON            a Python with the suite and its requirements installed
// The suite also needs the `faketime` command. Without the two variables one line says that it was skipped.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const { TUF_CONFORMANCE: suite, PYTHON: python } = process.env
const client = join(import.meta.dirname, 'tuf-client')

if (!suite || !python) console.log('skipped: the public TUF suite (set TUF_CONFORMANCE and PYTHON to run it)')

it.skipIf(!suite || !python)(
  'the client passes every case of the public TUF suite',
  { timeout: 1_800_000 },
  async () => {
    const args = ['-m', 'pytest', 'tuf_conformance', '--entrypoint', client, '-q', '-p', 'no:cacheprovider']
    const { stdout } = await promisify(execFile)(python ?? '', args, { cwd: suite, maxBuffer: 1 << 26 }).catch(
      (error) => error,
    )
    const summary = String(stdout).trim().split('\n').at(-1) ?? ''
    expect(summary).toMatch(/^(=+ )?\d+ passed in /)
    expect(Number(/(\d+) passed/.exec(summary)?.[1])).toBeGreaterThanOrEqual(113)
  },
)
