import { SystemClock } from '../../src/core/clock/clock.js';
import { Instance } from '../../src/core/core.options.js';
import type { Database } from '../../src/core/database/database.js';
import { InstanceBus } from '../../src/core/instance-bus/instance-bus.js';
import { Leases } from '../../src/core/leases/leases.js';
import { Shutdown } from '../../src/core/lifecycle/shutdown.js';

/** What core's services are made of, for suites that build one of them by hand. */
export function coreServices(database: Database, instanceId = 'test') {
  const clock = new SystemClock();
  const shutdown = new Shutdown(clock);
  const bus = new InstanceBus(database, clock);
  const instance = new Instance(instanceId, `${instanceId}-boot`, clock.now());
  return { database, clock, shutdown, bus, instance, leases: new Leases(database) };
}
