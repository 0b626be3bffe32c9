import type { Core } from '../core/core.ts'
import type { Connections } from './connections.ts'

/** Sends a host that is connected here what it was assigned last, if anything was. Never rejects: a host also asks by itself. */
export async function tellAssignment(core: Core, connections: Connections, hostId: string): Promise<void> {
  if (!connections.of(hostId)) return
  try {
    const document = await core.assignments.document(hostId)
    const ws = connections.of(hostId)
    if (ws && document !== null) connections.say(ws, { type: 'assignment', document })
  } catch (error) {
    core.log('warn', 'socket.assignment_not_sent', { host_id: hostId, error: String(error) })
  }
}
