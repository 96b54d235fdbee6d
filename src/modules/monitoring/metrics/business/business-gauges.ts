import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Clock, Shutdown, Ticker } from '../../../../core/index.js';
import { SnapshotSources } from '../snapshot-sources.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';
import { BusinessStore, type BusinessSample } from './business.store.js';

/** An older value says nothing about now, and is not shown in snapshots. */
export const GAUGE_MAX_AGE_MS = 3_600_000;
/** Well within the collection interval: what one instance took, the next snapshots of all show. */
const REFRESH_INTERVAL_MS = 5_000;

interface Gauge {
  readonly atMs: number;
  readonly value: number;
  readonly unlabelled: boolean;
}

/**
 * The last value of each posted gauge, for snapshots. Of several label sets of one name the one
 * without labels speaks for the name, else the newest. Bounded by the quota of business series.
 */
@Injectable()
export class BusinessGauges implements OnModuleInit {
  private gauges = new Map<string, Gauge>();

  constructor(
    private readonly store: BusinessStore,
    private readonly clock: Clock,
    private readonly shutdown: Shutdown,
    private readonly sources: SnapshotSources,
  ) {}

  onModuleInit(): void {
    this.sources.register('postedBusiness', () => this.latest());
    const ticker = new Ticker({ name: 'business-gauges', intervalMs: REFRESH_INTERVAL_MS }, this.clock, () =>
      this.refresh(),
    );
    ticker.start();
    this.shutdown.register('jobs', 'business gauges', () => ticker.stop());
  }

  /** Last value by name, without the prefix `business.`. */
  latest(): Readonly<Record<string, number>> {
    const oldestMs = this.clock.now() - GAUGE_MAX_AGE_MS;
    const fresh = [...this.gauges].filter(([, { atMs }]) => atMs >= oldestMs);
    return Object.fromEntries(fresh.map(([name, { value }]) => [name, value]));
  }

  /** What this instance has just stored is shown at once. */
  note(samples: readonly BusinessSample[]): void {
    for (const { name, labels, atMs, value } of samples) {
      const unlabelled = Object.keys(labels).length === 0;
      keep(this.gauges, name.slice(BUSINESS_PREFIX.length), { atMs, value, unlabelled });
    }
  }

  async refresh(): Promise<void> {
    const nowMs = this.clock.now();
    // Up to the present only: a sample stamped one interval ahead is not yet the last value.
    const rows = await this.store.newest(nowMs - GAUGE_MAX_AGE_MS, nowMs);
    const gauges = new Map<string, Gauge>();
    for (const { name, at, ...row } of rows) keep(gauges, name, { atMs: at.getTime(), ...row });
    this.gauges = gauges;
  }
}

function keep(gauges: Map<string, Gauge>, name: string, gauge: Gauge): void {
  const known = gauges.get(name);
  if (!known || (known.unlabelled === gauge.unlabelled ? known.atMs <= gauge.atMs : gauge.unlabelled))
    gauges.set(name, gauge);
}
