import { Injectable } from '@nestjs/common';
import { MonitoringConfig } from '../metrics/config/monitoring-config.js';

const LEAST_INTERVAL_MS = 1_000;

/** Between two runs of our own checks: what the library's user set for this process, else the live configuration. */
@Injectable()
export class HealthInterval {
  private ownMs: number | undefined;

  constructor(private readonly config: MonitoringConfig) {}

  get ms(): number {
    return this.ownMs ?? this.config.current().healthIntervalMs;
  }

  /** @throws RangeError below one second */
  override(intervalMs: number | undefined): void {
    if (intervalMs !== undefined && !(intervalMs >= LEAST_INTERVAL_MS))
      throw new RangeError(`the least interval is ${LEAST_INTERVAL_MS} ms`);
    this.ownMs = intervalMs;
  }
}
