import type { Site } from '../service/definition.ts'
import { parseAppEnv } from '../service/expand.ts'
import type { EngineDeps } from './deps.ts'
import { isMissing } from './layout.ts'

const MAX_APP_ENV_BYTES = 1 << 20

/** What the site says now: `config/app.env` (none is fine) and the environment to inherit from. Throws ExpandError `bad-line` or PlatformError. */
export async function loadSite({ disk, paths, host }: Pick<EngineDeps, 'disk' | 'paths' | 'host'>): Promise<Site> {
  const text = await disk.readFile(paths.appEnv, MAX_APP_ENV_BYTES).then(
    (bytes) => Buffer.from(bytes).toString('utf8'),
    (error: unknown) => {
      if (isMissing(error)) return ''
      throw error
    },
  )
  return { paths, appEnv: parseAppEnv(text), inherited: host.env }
}
