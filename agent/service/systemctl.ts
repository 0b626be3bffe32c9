/** What `systemctl show --property=ActiveState,SubState,Result,NRestarts` says. */
export function parseUnitFacts(text: string): { active: boolean; restarts: number; words: string } {
  const facts = parseProperties(text)
  const state = facts.get('ActiveState') ?? 'unknown'
  const sub = facts.get('SubState') ?? 'unknown'
  const result = facts.get('Result')
  return {
    active: state === 'active',
    restarts: countOf(facts.get('NRestarts')),
    words: `${state}/${sub}${result && result !== 'success' ? ` (${result})` : ''}`,
  }
}

/** Its restarts; 0 where it says none, as for a unit of a type that has none (`[not set]`). */
export function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0
}

/** `Name=value` lines. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}
