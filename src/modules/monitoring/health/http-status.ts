import type { OverallStatus } from './health.types.js';

/** A warning still serves; a load balancer should leave the rest alone. */
export function httpStatusOf(status: OverallStatus): 200 | 503 {
  return status === 'healthy' || status === 'warning' ? 200 : 503;
}
