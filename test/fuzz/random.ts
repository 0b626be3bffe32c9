/** A seeded generator (mulberry32): the same seed plays the same game. */
export interface Random {
  /** 0 to `below` - 1; 0 where there is nothing to choose from. */
  next(below: number): number
  pick<T>(from: readonly T[]): T | undefined
  bytes(length: number): Uint8Array
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const word = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const next = (below: number) => (below <= 1 ? 0 : word() % below)
  return {
    next,
    pick: (from) => from[next(from.length)],
    bytes: (length) => Uint8Array.from({ length }, () => word() & 0xff),
  }
}
