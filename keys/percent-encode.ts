/** A name as one segment of a URL or one file name: everything but RFC 3986's unreserved characters is percent-encoded, `/` and `!'()*` too. */
export function percentEncode(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
