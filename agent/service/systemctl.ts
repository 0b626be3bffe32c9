/** What `systemctl show --property=ActiveState,SubState,Result,NRestarts` says. */
export function parseUnitFacts(text: string): { active: boolean; restarts: number; words: string } {
  const facts = parseProperties(text)
  const state = facts.get('ActiveState') ?? 'unknown'
  const sub = facts.get('SubState') ?? 'unknown'
  const result = facts.get('Result')
  return {
    active: state === 'active',
    restarts: Number(facts.get('NRestarts') ?? 0),
    words: `${state}/${sub}${result && result !== 'success' ? ` (${result})` : ''}`,
  }
}

/** `Name=value` lines. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='))
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}
