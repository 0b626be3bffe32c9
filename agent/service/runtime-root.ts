import { statSync } from 'node:fs'

/** A short folder for sockets whose own path is too long: the user's runtime folder, the unit's, or /tmp. */
export function runtimeRoot(env: Readonly<Record<string, string | undefined>>): string {
  const candidates = [env.XDG_RUNTIME_DIR, '/run/netlink']
  return candidates.find((path) => path !== undefined && isOwnFolder(path)) ?? '/tmp'
}

function isOwnFolder(path: string): boolean {
  const facts = statSync(path, { throwIfNoEntry: false })
  return facts?.isDirectory() === true && facts.uid === process.getuid?.()
}
