const BLOCK = 512

/** The same archive with the sum of every header made right. */
export function repairTar(input: Uint8Array): Uint8Array {
  const repaired = Buffer.from(input)
  for (let at = 0; at + BLOCK <= repaired.length; at += BLOCK) {
    const header = repaired.subarray(at, at + BLOCK)
    if (header.subarray(257, 262).toString('latin1') !== 'ustar') continue
    header.fill(0x20, 148, 156)
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  }
  return repaired
}
