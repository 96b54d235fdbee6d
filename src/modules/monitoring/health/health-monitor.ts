import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Database, EventBus, Instance, Shutdown, Ticker } from '../../../core/index.js';
import { MonitoringConfig } from '../metrics/config/monitoring-config.js';
import { CheckRunner, freshForMs, type Observation } from './check-runner.js';
import { ComponentHistory } from './component-history.js';
import { HealthChanged, type ComponentChange } from './health.events.js';
import { scoreOf, type Score } from './health-score.js';
import { DATABASE } from './indicators/own-checks.js';

/** How late a due check may start. */
const TICK_INTERVAL_MS = 200;
const FLUSH_INTERVAL_MS = 2_000;

/** Keeps the checks running, remembers what they found, and announces what changed. */
@Injectable()
export class HealthMonitor implements OnApplicationBootstrap {
  private readonly logger = new Logger(HealthMonitor.name);
  private readonly ticker: Ticker;
  private readonly flusher: Ticker;
  private watching = true;
  private overall: Score | undefined;
  private booted = false;

  constructor(
    private readonly runner: CheckRunner,
    private readonly history: ComponentHistory,
    private readonly database: Database,
    private readonly events: EventBus,
    private readonly clock: Clock,
    private readonly instance: Instance,
    private readonly config: MonitoringConfig,
    private readonly shutdown: Shutdown,
  ) {
    this.ticker = new Ticker({ name: 'health-checks', intervalMs: TICK_INTERVAL_MS }, clock, () =>
      this.tick(),
    );
    this.flusher = new Ticker({ name: 'health-history', intervalMs: FLUSH_INTERVAL_MS }, clock, () =>
      this.flush(),
    );
  }

  /** The application has started and has had its database once. */
  get hasStarted(): boolean {
    return this.booted && this.runner.stateOf(DATABASE)?.checkedAtMs != null;
  }

  async onApplicationBootstrap(): Promise<void> {
    this.runner.onObserved((observation) => this.note(observation));
    await this.history.begin();
    await this.runner.runNow(DATABASE); // so that the first request already finds a state
    this.overall = scoreOf(this.runner.views());
    this.config.onChange(() => this.runner.hasten());
    this.shutdown.register('flush', 'health history', () => this.stop());
    this.ticker.start();
    this.flusher.start();
    this.booted = true;
  }

  resume(): void {
    this.watching = true;
    this.runner.hasten();
  }

  /** Stops all checks but that of the database, which readiness stands on; the others become unknown. */
  pause(): void {
    this.watching = false;
  }

  private async stop(): Promise<void> {
    await Promise.all([this.ticker.stop(), this.flusher.stop()]);
    await this.database.transaction((tx) => this.history.end(tx));
  }

  private tick(): void {
    this.runner.tick(({ name }) => this.watching || name === DATABASE);
    this.noteOverall();
  }

  private async flush(): Promise<void> {
    // While the database is known to be away the intervals wait in memory; asking would only fill the log.
    if (this.runner.stateOf(DATABASE)?.status === 'down') return;
    await this.history.flush(this.database, 'own');
  }

  private note({ check, before, after, adopted }: Observation): void {
    if (!adopted && check.isOurs?.() !== false) {
      const { status, sinceMs, checkedAtMs } = after;
      const atMs = checkedAtMs ?? this.clock.now();
      const seen = {
        component: check.name,
        status,
        sinceMs: sinceMs ?? atMs,
        atMs,
        freshForMs: freshForMs(check),
      };
      this.history.see(seen, check.isOurs !== undefined);
    }
    if (before.status === after.status) return;
    const { name, critical } = check;
    const change = {
      name,
      critical,
      from: before.status,
      to: after.status,
      ...(after.errorCode !== undefined && { errorCode: after.errorCode }),
    };
    this.logger.log(
      `${name}: ${change.from} → ${change.to}${after.errorCode === undefined ? '' : ` (${after.errorCode})`}`,
    );
    this.noteOverall(change);
  }

  /** Says what changed in a component, and then, if that changed the whole, that as well. */
  private noteOverall(change?: ComponentChange): void {
    const score = scoreOf(this.runner.views());
    const previous = this.overall?.status ?? score.status;
    this.overall = score;
    if (change) this.announce(score, previous, change);
    if (score.status !== previous) this.announce(score, previous, null);
  }

  private announce(score: Score, previous: Score['status'], change: ComponentChange | null): void {
    const at = new Date(this.clock.now()).toISOString();
    this.events.publish(new HealthChanged(at, this.instance.id, score.status, previous, score.score, change));
  }
}
