// What only a terminal shows: a real one, made by util-linux's `script`.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { tempFolder } from './folder.ts'
import { hasScript, typed } from './typing.ts'

const GENERATE = ['keys', 'generate', '--name', 'dave', '--out', 'dave.age']

test.runIf(hasScript)(
  'a passphrase that is typed is used and never shown, however quickly it comes',
  async () => {
    const folder = await tempFolder()
    const { shown, status } = await typed(folder, GENERATE, 'new passphrase for dave: ', 'wor-ds\r')
    expect(status).toBe(0)
    expect(shown).toContain('keyring of dave')
    expect(shown).not.toContain('wor-ds')
    const keyring = await openKeyring({ disk: buildKeyFileDisk(nodeDisk) }, join(folder, 'dave.age'), 'wor-ds')
    expect(keyring.holder).toBe('dave')
  },
  60_000,
)

test.runIf(hasScript)(
  'Ctrl-C at the question ends with 130 and makes nothing',
  async () => {
    const folder = await tempFolder()
    const { shown, status } = await typed(folder, GENERATE, 'new passphrase for dave: ', '\u0003')
    expect(status).toBe(130)
    expect(shown).toContain('E-INTERRUPTED')
    expect(shown).toContain('Nothing was made.')
    expect(shown).not.toContain('What was uploaded')
    await expect(nodeDisk.stat(join(folder, 'dave.age'))).rejects.toMatchObject({ code: 'not-found' })
  },
  60_000,
)

test('whoever reads what is said may be gone: the command ends as it would', async () => {
  const folder = await tempFolder()
  const bin = join(import.meta.dirname, '..', '..', 'publisher', 'bin.cjs')
  // The reader is gone before anything is written.
  const script = `(sleep 0.3; "${process.execPath}" "${bin}" nonsense; echo $? > status) 2>&1 | true; cat status`
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: folder })
  expect(stdout).toBe('2\n')
})
