// Moves what waits in the outbox over the live socket: one batch on its way at a time, the next one when the server has stored it.
import type { SignedReport } from '../../schema/report.ts'
import type { Outbox } from '../report/outbox.ts'
import type { AgentSocket } from '../report/socket.ts'

const MAX_BATCH = 100
/** Well below a frame's limit of 256 KiB, so that the envelope fits too. */
const MAX_BATCH_BYTES = 200_000
const ACK_MS = 30_000

export interface ReportPump {
  /** Sends if there is something, a connection, and no batch on its way. Never rejects. */
  pump(): Promise<void>
  onAck(seq: number): Promise<void>
  /** A new connection: what was on its way may not have come. */
  onWelcome(storedSeq: number): Promise<void>
}

export function buildReportPump(deps: {
  readonly outbox: Outbox
  readonly socket: () => AgentSocket
  readonly nowMs: () => number
  readonly onTrouble: (error: unknown) => void
}): ReportPump {
  const { outbox, onTrouble } = deps
  let sentAtMs: number | null = null
  let sentSeq = 0
  let again = false
  let isBusy = false

  async function pump(): Promise<void> {
    if (isBusy) {
      again = true
      return
    }
    isBusy = true
    try {
      do {
        again = false
        await sendOne()
      } while (again)
    } catch (error) {
      onTrouble(error)
    } finally {
      isBusy = false
    }
  }

  async function sendOne(): Promise<void> {
    if (sentAtMs !== null && deps.nowMs() - sentAtMs < ACK_MS) return
    const items = batchOf(await outbox.take(MAX_BATCH))
    if (items.length === 0 || !deps.socket().send({ type: 'reports', items })) return
    sentAtMs = deps.nowMs()
    sentSeq = items.at(-1)?.seq ?? 0
  }

  async function settle(storedSeq: number): Promise<void> {
    try {
      const moved = await outbox.resumeAfter(storedSeq)
      // What acknowledges nothing is no answer: otherwise whoever said so without end would get the same batch without end.
      if (sentAtMs !== null && moved === 'same' && storedSeq < sentSeq) return
    } catch (error) {
      onTrouble(error)
    }
    sentAtMs = null
    await pump()
  }

  return {
    pump,
    // What answers nothing is not worth the disk.
    onAck: async (seq) => {
      if (sentAtMs !== null) await settle(seq)
    },
    onWelcome: (storedSeq) => {
      sentAtMs = null
      return settle(storedSeq)
    },
  }
}

/** As many of the first as fit into one frame; one always. */
function batchOf(reports: readonly SignedReport[]): SignedReport[] {
  const batch: SignedReport[] = []
  let bytes = 0
  for (const report of reports) {
    bytes += Buffer.byteLength(JSON.stringify(report)) + 1
    if (batch.length > 0 && bytes > MAX_BATCH_BYTES) break
    batch.push(report)
  }
  return batch
}
