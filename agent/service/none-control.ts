import { type ServiceControl, ServiceError } from './control.ts'

/** Service control `none`: somebody else runs the service, or there is none. Health checks still count. */
export const noControl: ServiceControl = {
  kind: 'none',
  start: async () => undefined,
  stop: async () => undefined,
  restart: async () => undefined,
  restartUnits: async (units) => {
    if (units.length > 0)
      throw new ServiceError('systemd', `service control none has no units to restart: ${units.join(', ')}`)
  },
  status: async () => ({ state: 'unmanaged' }),
  identity: async () => null,
}
