// What the server may say over the socket, read by hand so that the daemon stays small (schema/protocol.ts is the description; a test holds the two together).
// Nothing here can install, execute or trust anything: a message of another type is a message of no type.
import type { Brake, ServerMessage } from '../../schema/protocol.ts'
import { MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { booleanIn, countIn, optionalTextIn, type Record, recordOf, textIn } from '../record.ts'

/** Longest frame in bytes that is read. */
export const MAX_MESSAGE_BYTES = 262_144

/** A message, or what it was not: unknown types are for a newer agent and do no harm, malformed ones end the connection. */
export type Incoming =
  | ServerMessage
  | { readonly type: 'unknown'; readonly said: string }
  | { readonly type: 'malformed'; readonly message: string }

/** Reads one text frame. Never throws. */
export function readServerMessage(text: string): Incoming {
  try {
    return readRecord(recordOf(JSON.parse(text), 'message from the server'))
  } catch (error) {
    if (error instanceof ShapeError || error instanceof SyntaxError)
      return { type: 'malformed', message: error.message }
    throw error
  }
}

function readRecord(record: Record): Incoming {
  const type = textIn(record, 'type')
  switch (type) {
    case 'challenge':
      return {
        type,
        nonce: textIn(record, 'nonce', /^[\x21-\x7e]{32,128}$/),
        server_time: textIn(record, 'server_time'),
      }
    case 'welcome':
      return {
        type,
        protocol: countIn(record, 'protocol'),
        brake: readBrake(record.fields.brake),
        stored_seq: storedSeqIn(record, 'stored_seq'),
        timestamp_version: countIn(record, 'timestamp_version'),
        next_check_after_ms: countIn(record, 'next_check_after_ms'),
      }
    case 'hint': {
      const cause = textIn(record, 'cause')
      if (cause !== 'release' && cause !== 'root' && cause !== 'check_now') return { type: 'unknown', said: 'hint' }
      return { type, cause, timestamp_version: countIn(record, 'timestamp_version') }
    }
    case 'brake':
      return { type, brake: readBrake(record.fields.brake) }
    case 'assignment': {
      const { document } = record.fields
      // As long as a frame: whether it is any good is found out where it is verified.
      return typeof document === 'string' ? { type, document } : record.wrong('document', 'expected text')
    }
    case 'ack':
      return { type, seq: storedSeqIn(record, 'seq') }
    case 'refused':
      return { type, code: textIn(record, 'code'), message: textIn(record, 'message') }
    default:
      return { type: 'unknown', said: type.slice(0, 64) }
  }
}

/** A greater one would leave this host no numbers to go on with. */
function storedSeqIn(record: Record, name: string): number {
  const seq = countIn(record, name)
  return seq <= MAX_STORED_SEQ ? seq : record.wrong(name, `expected an integer of ${MAX_STORED_SEQ} at most`)
}

/** The fleet's brake. Throws ShapeError. */
export function readBrake(value: unknown): Brake {
  const record = recordOf(value, 'brake')
  return {
    paused: booleanIn(record, 'paused'),
    reason: optionalTextIn(record, 'reason'),
    since: optionalTextIn(record, 'since'),
  }
}
