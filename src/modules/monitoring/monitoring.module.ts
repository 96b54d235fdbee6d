import { Module, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { DiscoveryModule, MetadataScanner } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { AddressGuard, Database } from '../../core/index.js';
import { ChecksController } from './checks/checks.controller.js';
import { OutsideChecks } from './checks/outside-checks.service.js';
import { OutsideWatcher } from './checks/outside-watcher.js';
import { OutsideChecksStore } from './checks/stores/outside-checks.store.js';
import { HEALTH_PROVIDERS } from './health/health.providers.js';
import { HealthController } from './health/health.controller.js';
import { SummaryController } from './health/summary.controller.js';
import { METRICS_RECORDING_CONTROLLERS, METRICS_RECORDING_PROVIDERS } from './metrics/metrics.providers.js';
import { SnapshotSources } from './metrics/snapshot-sources.js';
import { METRICS_STORAGE_CONTROLLERS, METRICS_STORAGE_PROVIDERS } from './metrics/storage.providers.js';
import { MonitoringOptions } from './monitoring.options.js';
import { MonitoringService } from './monitoring.service.js';
import { Overview } from './overview.js';
import { OverviewController } from './overview.controller.js';
import { RouteIndex } from './route-index.js';
import { SharedActiveUsers } from './users/shared-active-users.js';
import { ActiveUsersStore } from './users/stores/active-users.store.js';

const CHECKS_PROVIDERS: readonly Provider[] = [
  {
    provide: AddressGuard,
    useFactory: ({ checkAllowedCidrs }: MonitoringOptions) => new AddressGuard(checkAllowedCidrs),
    inject: [MonitoringOptions],
  },
  OutsideChecksStore,
  OutsideChecks,
  OutsideWatcher,
];

/** Fixed paths before `metrics/:name`: the first route that fits is taken. */
const CONTROLLERS: readonly Type[] = [
  OverviewController,
  HealthController,
  SummaryController,
  ChecksController,
  ...METRICS_RECORDING_CONTROLLERS,
  ...METRICS_STORAGE_CONTROLLERS,
];

/** Metrics and health. Needs `CoreModule.forRoot({ database })`. */
@Module({})
export class MonitoringModule {
  constructor(database: Database) {
    database.requireFor('MonitoringModule');
  }

  static forRoot(options: Partial<MonitoringOptions> = {}): DynamicModule {
    return {
      module: MonitoringModule,
      imports: [DiscoveryModule, TerminusModule.forRoot({ logger: false })],
      controllers: options.http ? [...CONTROLLERS] : [],
      providers: [
        { provide: MonitoringOptions, useValue: options },
        MetadataScanner,
        ...METRICS_RECORDING_PROVIDERS,
        ...METRICS_STORAGE_PROVIDERS,
        ...HEALTH_PROVIDERS,
        ...CHECKS_PROVIDERS,
        ...[ActiveUsersStore, SharedActiveUsers, RouteIndex, Overview, MonitoringService],
      ],
      exports: [MonitoringService, SnapshotSources],
    };
  }
}
