/** Ends a switch over a tagged union: compiles only if every member was handled, throws if a foreign value got in. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value ${JSON.stringify(value)}`)
}
