// Foreign text on its way to a terminal: changelogs, reasons, names, messages of other programs. A terminal obeys what is written to it, so nothing
// but letters may get there: no escape sequence that moves the cursor or sets the clipboard, no control that reorders what the reader sees.

const ESC = '\u001b'
/** ECMA-48 5.4: CSI, parameters, intermediates, final byte; in seven and in eight bits. */
const CONTROL_SEQUENCE = new RegExp(`(?:${ESC}\\[|\\u009b)[0-?]*[ -/]*[@-~]`, 'g')
/** OSC, DCS, SOS, PM and APC with their text. One without an end loses only its opener, so that it cannot hide what follows. */
const CONTROL_STRING = new RegExp(
  `(?:${ESC}[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007${ESC}\\u0080-\\u009f]*(?:\\u0007|${ESC}\\\\|\\u009c)`,
  'g',
)
const OTHER_ESCAPE = new RegExp(`${ESC}[ -/]*[0-~]`, 'g')
/** C0 (but line feed), DEL and C1. */
const CONTROL = /(?!\n)\p{Cc}/gu
/**
 * What shows nothing of itself: bidirectional controls, zero-width and soft marks, fillers, variation selectors, tags, the blank of Braille, interlinear
 * annotations. They make two names look like one. Joiners go too: a family of emoji shows as its members, and Persian loses a nicety, so that there is one rule.
 */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

const DEFAULT_MAX_CHARS = 65_536

/** The text without anything that a terminal would obey. Lines are kept; a longer text than `maxChars` is cut and ends in `…`. */
export function plainText(text: string, maxChars = DEFAULT_MAX_CHARS): string {
  const cut = text.length > maxChars ? `${text.slice(0, maxChars)}…` : text
  return cut
    .toWellFormed()
    .replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
    .replaceAll('\t', '  ')
    .replaceAll(CONTROL_STRING, '')
    .replaceAll(CONTROL_SEQUENCE, '')
    .replaceAll(OTHER_ESCAPE, '')
    .replaceAll(CONTROL, '')
    .replaceAll(INVISIBLE, '')
}

/** The same on one line: line breaks and runs of spaces become one space. */
export function plainLine(text: string, maxChars = DEFAULT_MAX_CHARS): string {
  return plainText(text, maxChars).replaceAll(/\s+/g, ' ').trim()
}
