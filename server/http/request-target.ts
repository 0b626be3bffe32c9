/**
 * Why a request target is refused before it is routed; undefined if it is fine. A dot segment, an empty segment, or a slash in disguise can
 * mean one path to a proxy or cache in front and another one here.
 */
export function findAmbiguity(target: string): string | undefined {
  const path = target.split('?')[0] ?? ''
  if (!path.startsWith('/')) return 'a path that begins with "/"'
  // A fragment never goes over the wire (RFC 9112 3.2): what stands behind it is the path's for one reader and nothing for another.
  if (target.includes('#')) return 'a target without a fragment'
  if (path.includes('//')) return 'a path without empty segments'
  if (/\\|%5c|%2f/i.test(path)) return 'a path without encoded slashes or backslashes'
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'a path in percent-encoding'
  if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(path)) return 'a path without dot segments'
  if (/%00/i.test(target)) return 'a target without NUL'
  return undefined
}
