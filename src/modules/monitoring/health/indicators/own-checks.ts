import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Clock, Database, RedisConnections } from '../../../../core/index.js';
import { MonitoringConfig } from '../../metrics/config/monitoring-config.js';
import { RequestRecorder } from '../../metrics/requests/request-recorder.js';
import { MonitoringOptions } from '../../monitoring.options.js';
import {
  CheckRunner,
  NothingKnownError,
  type CheckRun,
  type Degraded,
  type HealthCheck,
} from '../check-runner.js';
import { CheckFailedError } from '../error-code.js';
import { HealthInterval } from '../health-interval.js';
import { WorkersProbe } from '../workers-probe.port.js';
import { bucketCheck } from './bucket.check.js';

export const DATABASE = 'database';
/** Readiness must notice a lost PostgreSQL within 5 s at any setting: two runs of 1.2 s, a second apart, take 3.6 s. */
const DATABASE_INTERVAL_MS = 1_000;
const DATABASE_TIMEOUT_MS = 1_200;
/** A PING costs nothing, and a lost Redis should be seen soon. */
const REDIS_INTERVAL_MS = 5_000;
/** A heartbeat job runs every 15 s: three were missed. */
const HEARTBEAT_LATE_MS = 60_000;
const QUEUE_LATE_MS = 300_000;
/** Below so many requests a minute one slow answer is no finding. */
const LEAST_REQUESTS = 20;

const LONG_TIMEOUT_MS = 5_000;

/** Watches what this instance itself depends on, each through the connection that the work uses. */
@Injectable()
export class OwnChecks implements OnModuleInit {
  constructor(
    private readonly runner: CheckRunner,
    private readonly database: Database,
    private readonly redis: RedisConnections,
    private readonly recorder: RequestRecorder,
    private readonly config: MonitoringConfig,
    private readonly interval: HealthInterval,
    private readonly options: MonitoringOptions,
    private readonly clock: Clock,
    private readonly moduleRef: ModuleRef,
  ) {}

  onModuleInit(): void {
    const databaseCheck = {
      intervalMs: () => DATABASE_INTERVAL_MS,
      timeoutMs: DATABASE_TIMEOUT_MS,
      critical: true,
    };
    this.add(DATABASE, () => this.askDatabase(), databaseCheck);
    this.add('api', () => this.askRecorder(), { hidesLatency: true, failuresToDown: 1 });
    if (this.redis.status !== 'absent')
      this.add('redis', () => this.askRedis(), {
        intervalMs: () => Math.min(this.interval.ms, REDIS_INTERVAL_MS),
      });
    if (this.options.s3) this.add('s3', bucketCheck(this.options.s3), { timeoutMs: LONG_TIMEOUT_MS });
    const workers = this.workersProbe();
    if (workers) this.add('workers', () => this.askWorkers(workers), { hidesLatency: true });
  }

  private add(name: string, run: CheckRun, settings: Partial<HealthCheck> = {}): void {
    const defaults = {
      critical: false,
      intervalMs: () => this.interval.ms,
      timeoutMs: 2_500,
      failuresToDown: 2,
      passesToUp: 1,
    };
    this.runner.add({ ...defaults, ...settings, name, run });
  }

  /** Through the app's own pool: a pool that hands out no connection is as bad as a server that is away. */
  private async askDatabase(): Promise<Degraded | void> {
    const startedMs = this.clock.monotonicMs();
    await this.database.query('SELECT 1', [], { timeoutMs: DATABASE_TIMEOUT_MS, readOnly: true });
    const tookMs = this.clock.monotonicMs() - startedMs;
    if (tookMs > this.config.current().thresholds.databaseLatencyMs.warning)
      return { degraded: true, errorCode: 'SLOW' };
  }

  private async askRedis(): Promise<void> {
    if (this.redis.status === 'down') throw new CheckFailedError('UNAVAILABLE');
    await this.redis.ping();
  }

  /** The last minute of all routes: slow or failing is degraded, far beyond that is down. */
  private askRecorder(): Degraded | void {
    const { requests, p95Ms, serverErrors } = this.recorder.summary();
    const { responseTimeMs, errorPercent } = this.config.current().thresholds;
    if (requests < LEAST_REQUESTS) return;
    const errors = (100 * serverErrors) / requests;
    if (errors > errorPercent.critical) throw new CheckFailedError('ERRORS');
    if ((p95Ms ?? 0) > responseTimeMs.critical) throw new CheckFailedError('SLOW');
    if (errors > errorPercent.warning) return { degraded: true, errorCode: 'ERRORS' };
    if ((p95Ms ?? 0) > responseTimeMs.warning) return { degraded: true, errorCode: 'SLOW' };
  }

  /** A heartbeat that a processed job wrote: connections and counts look well while nothing is worked off. */
  private async askWorkers(workers: WorkersProbe): Promise<Degraded | void> {
    const [heartbeatAtMs, waitingMs] = await Promise.all([
      workers.lastHeartbeatAtMs(),
      workers.oldestWaitingAgeMs(),
    ]);
    if (heartbeatAtMs === null) throw new NothingKnownError();
    if (this.clock.now() - heartbeatAtMs > HEARTBEAT_LATE_MS) throw new CheckFailedError('HEARTBEAT_LATE');
    if (waitingMs > QUEUE_LATE_MS) return { degraded: true, errorCode: 'QUEUE_LATE' };
  }

  private workersProbe(): WorkersProbe | undefined {
    try {
      return this.moduleRef.get(WorkersProbe, { strict: false });
    } catch {
      return undefined; // nobody bound it: there are no workers to watch
    }
  }
}
