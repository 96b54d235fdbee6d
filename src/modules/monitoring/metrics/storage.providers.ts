import type { Provider, Type } from '@nestjs/common';
import { BusinessController } from './business/business.controller.js';
import { BusinessGauges } from './business/business-gauges.js';
import { BusinessService } from './business/business.service.js';
import { BusinessStore } from './business/business.store.js';
import { ConfigController } from './config/config.controller.js';
import { MonitoringConfig } from './config/monitoring-config.js';
import { HistoryController } from './history/history.controller.js';
import { HistoryService } from './history/history.service.js';
import { HistoryStore } from './history/history.store.js';
import { LatencyStore } from './history/latency.store.js';
import { MetricNames } from './history/metric-names.js';
import { PerformanceController } from './history/performance.controller.js';
import { PerformanceService } from './history/performance.service.js';
import { WideQuestions } from './history/wide-questions.js';
import { MetricsSink } from './metrics-sink.port.js';
import { RetentionService } from './rollup/retention.service.js';
import { RetentionStore } from './rollup/retention.store.js';
import { RollupService } from './rollup/rollup.service.js';
import { RollupStore } from './rollup/rollup.store.js';
import { PostgresMetricsSink } from './stores/postgres-metrics-sink.js';
import { SeriesDictionary } from './stores/series-dictionary.js';

/** Keeps metrics and answers for them. Needs `MonitoringOptions` and `SnapshotSources` beside it. */
export const METRICS_STORAGE_PROVIDERS: readonly Provider[] = [
  MonitoringConfig,
  SeriesDictionary,
  { provide: MetricsSink, useClass: PostgresMetricsSink },
  RollupStore,
  RollupService,
  RetentionStore,
  RetentionService,
  BusinessStore,
  BusinessGauges,
  BusinessService,
  WideQuestions,
  HistoryStore,
  LatencyStore,
  HistoryService,
  MetricNames,
  PerformanceService,
];

export const METRICS_STORAGE_CONTROLLERS: readonly Type[] = [
  HistoryController,
  PerformanceController,
  BusinessController,
  ConfigController,
];
