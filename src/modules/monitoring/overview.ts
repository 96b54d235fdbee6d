import { Injectable } from '@nestjs/common';
import { Database } from '../../core/index.js';
import { OutsideChecksStore } from './checks/stores/outside-checks.store.js';
import type { DetailedAnswer } from './health/health.dto.js';
import { HealthService } from './health/health.service.js';
import type { Uptime } from './health/uptime.js';
import { UptimeService } from './health/uptime.service.js';
import { Collector } from './metrics/collector.js';
import { PerformanceService } from './metrics/history/performance.service.js';
import type { Snapshot } from './metrics/metrics.types.js';

const TOP_ROUTES = 10;
/** An instance that confirmed nothing for so long is not shown as one of the live ones. */
const LIVE_MS = 120_000;

export interface DashboardDocument {
  readonly health: DetailedAnswer;
  readonly metrics: Snapshot;
  readonly routes: readonly object[];
  readonly instances: readonly { readonly id: string; readonly lastSeenAt: string }[];
  readonly uptime: readonly Uptime[];
  readonly checks: number;
}

/** Puts the overview page's document together from what the parts answer themselves. */
@Injectable()
export class Overview {
  constructor(
    private readonly health: HealthService,
    private readonly uptimes: UptimeService,
    private readonly collector: Collector,
    private readonly performance: PerformanceService,
    private readonly checks: OutsideChecksStore,
    private readonly database: Database,
  ) {}

  async read(): Promise<DashboardDocument> {
    const [{ items }, instances, uptime, checks] = await Promise.all([
      this.performance.read('5m', null),
      this.instances(),
      this.uptimes.readLastDay(),
      this.checks.list(),
    ]);
    return {
      health: this.health.detailed(),
      metrics: this.collector.latest,
      routes: items.slice(0, TOP_ROUTES),
      instances,
      uptime,
      checks: checks.length,
    };
  }

  private async instances(): Promise<{ id: string; lastSeenAt: string }[]> {
    const rows = await this.database.query<{ instance: string; seen_at: Date }>(
      `SELECT instance, max(confirmed_at) AS seen_at FROM vigia.component_status
       WHERE ended_at IS NULL AND instance IS NOT NULL AND confirmed_at > clock_timestamp() - $1 * interval '1 millisecond'
       GROUP BY instance ORDER BY instance LIMIT 1000`,
      [LIVE_MS],
      { readOnly: true },
    );
    return rows.map(({ instance, seen_at }) => ({ id: instance, lastSeenAt: seen_at.toISOString() }));
  }
}
