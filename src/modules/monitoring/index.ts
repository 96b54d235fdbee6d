import { HEALTH_ENTITIES } from './health/stores/health.entities.js';
import { METRICS_ENTITIES } from './metrics/stores/metrics.entities.js';
import { USERS_ENTITIES } from './users/stores/active-users.entity.js';

export type { CheckRun, Degraded } from './health/check-runner.js';
export { CheckFailedError } from './health/error-code.js';
export type { DetailedAnswer } from './health/health.dto.js';
export { HealthChanged, type ComponentChange } from './health/health.events.js';
export type { ComponentStatus, OverallStatus } from './health/health.types.js';
export { WorkersProbe } from './health/workers-probe.port.js';
export { MetricsCollected } from './metrics/metrics.events.js';
export type { Snapshot } from './metrics/metrics.types.js';
export { SnapshotSources } from './metrics/snapshot-sources.js';
export { MonitoringModule } from './monitoring.module.js';
export { MonitoringOptions } from './monitoring.options.js';
export { MonitoringService, type HealthCheckOptions } from './monitoring.service.js';

/** Every table of this module. */
export const MONITORING_ENTITIES = [...METRICS_ENTITIES, ...HEALTH_ENTITIES, ...USERS_ENTITIES] as const;
