import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Shutdown, Ticker, ValidationFailedError } from '../../../core/index.js';
import { ComponentStatusStore } from './stores/component-status.store.js';
import { uptimeOf, type Uptime } from './uptime.js';

const DAY_MS = 86_400_000;
const DEFAULT_WINDOW_MS = 30 * DAY_MS;
/** How old the uptimes beside each component may be: they are shown on every poll and must cost no query. */
const REFRESH_INTERVAL_MS = 60_000;
/** Until there is anything to show. */
const FIRST_REFRESH_INTERVAL_MS = 5_000;

/** What the components were over time, as all instances saw them. */
@Injectable()
export class UptimeService implements OnApplicationBootstrap {
  private readonly ticker: Ticker;
  private readonly logger = new Logger(UptimeService.name);
  private lastDayItems: readonly Uptime[] = [];
  private lastDay = new Map<string, number | null>();
  private failing = false;

  constructor(
    private readonly store: ComponentStatusStore,
    private readonly clock: Clock,
    private readonly shutdown: Shutdown,
  ) {
    this.ticker = new Ticker({ name: 'uptime-24h', intervalMs: FIRST_REFRESH_INTERVAL_MS }, clock, () =>
      this.refresh(),
    );
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.refresh();
    this.ticker.start();
    this.shutdown.register('jobs', 'uptime', () => this.ticker.stop());
  }

  /** Of the last 24 h, percent, at most a minute old; null while nothing is known. */
  lastDayPercent(component: string): number | null {
    return this.lastDay.get(component) ?? null;
  }

  /**
   * Per component, by name. The window ends now at the latest.
   * @throws ValidationFailedError when it would end before it begins
   */
  async read(range: {
    component?: string | undefined;
    from?: Date | undefined;
    to?: Date | undefined;
  }): Promise<Uptime[]> {
    const now = this.clock.now();
    const toMs = Math.min(range.to?.getTime() ?? now, now);
    const fromMs = range.from?.getTime() ?? toMs - DEFAULT_WINDOW_MS;
    if (fromMs >= toMs)
      throw new ValidationFailedError([{ path: 'from', message: 'must be in the past and before to' }]);
    const stored = await this.store.read(fromMs, toMs, range.component);
    return [...stored]
      .filter(([, { firstSeenMs }]) => firstSeenMs < toMs)
      .map(([component, { intervals, firstSeenMs }]) =>
        uptimeOf(component, intervals, { fromMs, toMs, firstSeenMs }),
      );
  }

  /**
   * The same of the last 24 h; as last known when it cannot be read, e.g. because many targets flap and
   * there is too much of it. Never rejects: neither the start nor the overview may hang on it.
   */
  async readLastDay(): Promise<readonly Uptime[]> {
    try {
      this.lastDayItems = await this.read({ from: new Date(this.clock.now() - DAY_MS) });
      this.failing = false;
    } catch (error) {
      if (!this.failing) this.logger.warn(`uptimes cannot be read: ${(error as Error).message}`);
      this.failing = true;
    }
    return this.lastDayItems;
  }

  private async refresh(): Promise<void> {
    const items = await this.readLastDay();
    if (items.length > 0) this.ticker.setInterval(REFRESH_INTERVAL_MS);
    this.lastDay = new Map(items.map(({ component, upPercent }) => [component, upPercent]));
  }
}
