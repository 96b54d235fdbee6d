import { Injectable } from '@nestjs/common';
import { Collector } from './metrics/collector.js';
import type { Snapshot } from './metrics/metrics.types.js';
import { MetricsRecording } from './metrics/recording.js';
import { RequestRecorder } from './metrics/requests/request-recorder.js';
import { SnapshotSources } from './metrics/snapshot-sources.js';
import { CheckRunner, type CheckRun } from './health/check-runner.js';
import type { DetailedAnswer } from './health/health.dto.js';
import { HealthInterval } from './health/health-interval.js';
import { HealthMonitor } from './health/health-monitor.js';
import { HealthService } from './health/health.service.js';
import { OwnInterval } from './own-interval.js';

export interface HealthCheckOptions {
  /** While it is down, the service as a whole is in a critical state. Default false. */
  readonly critical?: boolean;
  /** Between two runs. Default: the configured interval of health checks. */
  readonly intervalMs?: number;
  /** After so long a run counts as failed. Default 5,000. */
  readonly timeoutMs?: number;
  /** Failures in a row until it is down. Default 2. */
  readonly failuresToDown?: number;
  /** Passes in a row until it is up again. Default 1. */
  readonly passesToUp?: number;
  /** Slower than this is degraded. */
  readonly degradedAboveMs?: number;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** So many checks may be registered; the runner has place for these, our own and 200 outside targets. */
export const MAX_REGISTERED_CHECKS = 50;

/** Monitoring as other code uses it. */
@Injectable()
export class MonitoringService {
  private registered = 0;

  constructor(
    private readonly health: HealthService,
    private readonly monitor: HealthMonitor,
    private readonly runner: CheckRunner,
    private readonly interval: HealthInterval,
    private readonly own: OwnInterval,
    private readonly recording: MetricsRecording,
    private readonly collector: Collector,
    private readonly recorder: RequestRecorder,
    private readonly sources: SnapshotSources,
  ) {}

  /** What `GET /monitoring/health/detailed` answers. Reads stored results only. */
  getHealthStatus(): DetailedAnswer {
    return this.health.detailed();
  }

  /** The latest snapshot of this instance, as `GET /monitoring/metrics/current` answers it. */
  getMetrics(): Snapshot {
    return this.collector.latest;
  }

  /** Counts work that did not come through this process's HTTP server, e.g. a message handler. */
  trackRequest(durationMs: number, isError: boolean): void {
    this.recorder.trackRequest(durationMs, isError);
  }

  /** Reads a gauge at every collection, as metric `business.<name>`. */
  registerGauge(name: string, read: () => number | Promise<number>): void {
    this.sources.registerGauge(name, read);
  }

  /**
   * Watches something of yours as a component. `check` rejects when it fails; it may return
   * `{ degraded: true }` or the result of a Terminus indicator.
   * @throws RangeError for a name that is taken or malformed, or beyond 50 checks
   */
  registerHealthCheck(name: string, check: CheckRun, options: HealthCheckOptions = {}): void {
    if (!NAME.test(name) || name.startsWith('check:'))
      throw new RangeError('a check is named by 1–128 of A–Z, a–z, 0–9 and ._:- and not check:…');
    if (this.runner.stateOf(name)) throw new RangeError(`there is a health check named ${name} already`);
    if (this.registered >= MAX_REGISTERED_CHECKS)
      throw new RangeError(`${MAX_REGISTERED_CHECKS} health checks are registered already`);
    this.registered += 1;
    const {
      intervalMs,
      critical = false,
      timeoutMs = 5_000,
      failuresToDown = 2,
      passesToUp = 1,
      degradedAboveMs,
    } = options;
    this.runner.add({
      name,
      critical,
      timeoutMs,
      failuresToDown,
      passesToUp,
      degradedAboveMs,
      intervalMs: () => intervalMs ?? this.interval.ms,
      run: check,
    });
  }

  /**
   * Collects and checks in the background; both run from the start of the application.
   * @param intervalMs for this process, instead of the configured ones, until it is called again; at least 1,000
   * @throws RangeError below that
   */
  startAutoMonitoring(intervalMs?: number): void {
    this.own.set(intervalMs);
    this.recording.applyInterval();
    this.collector.start();
    this.monitor.resume();
  }

  /**
   * Stops both, but for the check of the database, which readiness stands on. What was counted so far is
   * stored; requests of the pause are in no minute.
   */
  async stopAutoMonitoring(): Promise<void> {
    this.monitor.pause();
    await this.collector.flush();
  }
}
