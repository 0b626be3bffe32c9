import { join } from 'node:path'
import { z } from 'zod'
import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'

/** The program's version: that of the package it lies in, beside the sources or beside `dist/`. */
export async function readVersion(disk: Disk): Promise<string> {
  for (const folder of ['..', '../..']) {
    try {
      const bytes = await disk.readFile(join(import.meta.dirname, folder, 'package.json'), 1 << 20)
      return z.object({ version: z.string() }).parse(JSON.parse(Buffer.from(bytes).toString('utf8'))).version
    } catch (error) {
      if (!(error instanceof PlatformError && error.code === 'not-found')) throw error
    }
  }
  throw new Error('there is no package.json above this program')
}
