const MAX_LINES = 20
const MAX_BYTES = 8 << 10

/** The last lines of a stream: at most 20 of them and 8 KiB together. */
export function createTail(): { push: (chunk: Uint8Array) => void; lines: () => string[] } {
  let kept: Buffer = Buffer.alloc(0)
  return {
    push: (chunk) => {
      kept = Buffer.concat([kept, chunk]).subarray(-MAX_BYTES)
    },
    lines: () => lastLines(kept),
  }
}

/** The last lines of these bytes, without empty ones and control characters. */
export function lastLines(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).subarray(-MAX_BYTES).toString('utf8')
  return text
    .split('\n')
    .map(withoutControls)
    .filter((line) => line.trim() !== '')
    .slice(-MAX_LINES)
}

/** What a service writes may end up on an administrator's terminal. */
function withoutControls(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return line.replace(/\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '').trimEnd()
}
