/**
 * Whether `JSON.parse` may read this wrongly. V8 13.6 and 14.6 take a name that is one escaped character for a backslash, depending on what was parsed before
 * (nodejs/node issue 63785): our own parser is no part of that, and a comparison with V8's has to leave such names out.
 */
export function isMisreadByV8(json: string): boolean {
  return /"\\(?:[^u]|u[0-9a-fA-F]{4})"\s*:/.test(json)
}
