import { Injectable } from '@nestjs/common';
import { Clock, Instance, Shutdown } from '../../../core/index.js';
import { Collector } from '../metrics/collector.js';
import { MonitoringOptions } from '../monitoring.options.js';
import { CheckRunner } from './check-runner.js';
import type { ComponentAnswer, DetailedAnswer, HealthAnswer } from './health.dto.js';
import { HealthMonitor } from './health-monitor.js';
import { scoreOf, type Score } from './health-score.js';
import type { ComponentView } from './health.types.js';
import { DATABASE } from './indicators/own-checks.js';
import { UptimeService } from './uptime.service.js';

/** Answers about health from what the checks left behind; waits for nothing but a check-now. */
@Injectable()
export class HealthService {
  private readonly startedMs: number;

  constructor(
    private readonly runner: CheckRunner,
    private readonly monitor: HealthMonitor,
    private readonly uptime: UptimeService,
    private readonly collector: Collector,
    private readonly shutdown: Shutdown,
    private readonly clock: Clock,
    private readonly instance: Instance,
    private readonly options: MonitoringOptions,
  ) {
    this.startedMs = clock.monotonicMs();
  }

  basic(): HealthAnswer {
    return this.basicOf(scoreOf(this.runner.views()));
  }

  detailed(): DetailedAnswer {
    const views = this.runner.views();
    const score = scoreOf(views);
    const components = views.map((view) => this.componentOf(view));
    return {
      ...this.basicOf(score),
      components,
      checks: Object.fromEntries(components.map((component) => [component.name, component])),
      deductions: [...score.deductions],
      metrics: this.collector.latest,
      activeAlerts: null,
      instance: this.instance.id,
    };
  }

  /** Runs every check within its own time-out; who asks meanwhile joins the round. */
  async checkNow(): Promise<DetailedAnswer> {
    await this.runner.runAllNow();
    return this.detailed();
  }

  /** Traffic may come: the database answers and nobody asked us to stop. */
  isReady(): boolean {
    const status = this.runner.viewOf(DATABASE)?.status;
    return this.monitor.hasStarted && !this.shutdown.isDraining && (status === 'up' || status === 'degraded');
  }

  hasStarted(): boolean {
    return this.monitor.hasStarted;
  }

  private basicOf({ status, score }: Score): HealthAnswer {
    return {
      status,
      score,
      timestamp: new Date(this.clock.now()).toISOString(),
      uptimeSeconds: Math.floor((this.clock.monotonicMs() - this.startedMs) / 1000),
      version: this.options.version ?? 'unknown',
    };
  }

  private componentOf(view: ComponentView): ComponentAnswer {
    const {
      name,
      status,
      critical,
      latencyMs,
      checkedAtMs,
      ageMs,
      stale,
      sinceMs,
      consecutiveFailures,
      errorCode,
    } = view;
    return {
      name,
      status,
      critical,
      latencyMs,
      checkedAt: isoOf(checkedAtMs),
      ageMs,
      stale,
      since: isoOf(sinceMs),
      consecutiveFailures,
      ...(errorCode !== undefined && { errorCode }),
      uptime24hPercent: this.uptime.lastDayPercent(name),
    };
  }
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
