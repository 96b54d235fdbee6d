import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Instance, LeaderLoop, Leases, Shutdown, type Lease } from '../../../../core/index.js';
import { MonitoringConfig } from '../config/monitoring-config.js';
import type { MonitoringSettings } from '../config/config.dto.js';
import { RetentionStore, type AgedTable } from './retention.store.js';

const LEASE = 'metrics-retention';
const INTERVAL_MS = 60_000;
const BATCH_ROWS = 5_000;
/** Per table and run: 100,000 rows a minute, which is 1,600 instances' ticks. */
const BATCHES_PER_RUN = 20;
const DAY_MS = 24 * 3_600_000;
/** Samples may come 31 days late, and their hour is computed from all its samples. */
export const BUSINESS_SAMPLES_MS = 32 * DAY_MS;

/** Removes what is older than the configuration keeps, in bounded batches, on one instance. */
@Injectable()
export class RetentionService implements OnApplicationBootstrap {
  private readonly loop: LeaderLoop;

  constructor(
    private readonly store: RetentionStore,
    private readonly config: MonitoringConfig,
    private readonly clock: Clock,
    private readonly shutdown: Shutdown,
    leases: Leases,
    instance: Instance,
  ) {
    const options = { name: LEASE, holder: instance.holder, intervalMs: INTERVAL_MS };
    this.loop = new LeaderLoop(options, leases, clock, async (lease) => void (await this.run(lease)));
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.shutdown.register('jobs', LEASE, () => this.loop.stop());
  }

  /** @returns rows removed */
  async run(lease: Lease): Promise<number> {
    const nowMs = this.clock.now();
    let removed = 0;
    for (const { keptMs, ...table } of tablesOf(this.config.current())) {
      removed += await this.removeOld(table, nowMs - keptMs, lease);
    }
    return removed;
  }

  private async removeOld(table: AgedTable, cutoffMs: number, lease: Lease): Promise<number> {
    let removed = 0;
    for (let batch = 0; batch < BATCHES_PER_RUN; batch++) {
      const count = await this.store.removeOld(table, cutoffMs, BATCH_ROWS, lease);
      removed += count;
      if (count < BATCH_ROWS) break;
    }
    return removed;
  }
}

function tablesOf({ retention }: MonitoringSettings): (AgedTable & { keptMs: number })[] {
  return [
    { table: 'system_metrics', column: 'at', feeds: 'minute', keptMs: retention.rawMs },
    { table: 'metric_minutes', column: 'bucket', feeds: 'hour', keptMs: retention.minuteMs },
    { table: 'metric_hours', column: 'bucket', keptMs: retention.hourMs },
    { table: 'request_minutes', column: 'bucket', feeds: 'routes', keptMs: retention.latencyMinuteMs },
    { table: 'request_hours', column: 'bucket', keptMs: retention.latencyHourMs },
    { table: 'business_samples', column: 'at', feeds: 'business', keptMs: BUSINESS_SAMPLES_MS },
    // A series outlives the last row that mentions it, for a number is never given twice.
    {
      table: 'metric_series',
      column: 'last_seen_at',
      keptMs: Math.max(retention.hourMs, BUSINESS_SAMPLES_MS) + 2 * DAY_MS,
    },
  ];
}
