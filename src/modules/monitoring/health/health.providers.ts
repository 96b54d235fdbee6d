import type { Provider } from '@nestjs/common';
import { CheckRunner } from './check-runner.js';
import { ComponentHistory } from './component-history.js';
import { HealthInterval } from './health-interval.js';
import { HealthMonitor } from './health-monitor.js';
import { HealthSamples } from './health-samples.js';
import { HealthService } from './health.service.js';
import { OwnChecks } from './indicators/own-checks.js';
import { ComponentStatusStore } from './stores/component-status.store.js';
import { UptimeService } from './uptime.service.js';

/** What watches health. Needs what records metrics beside it. */
export const HEALTH_PROVIDERS: readonly Provider[] = [
  CheckRunner,
  ComponentStatusStore,
  ComponentHistory,
  HealthInterval,
  OwnChecks,
  HealthMonitor,
  HealthSamples,
  UptimeService,
  HealthService,
];
