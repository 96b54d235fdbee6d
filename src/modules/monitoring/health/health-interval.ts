import { Injectable } from '@nestjs/common';
import { MonitoringConfig } from '../metrics/config/monitoring-config.js';
import { OwnInterval } from '../own-interval.js';

/** Between two runs of our own checks: what the library's user set for this process, else the live configuration. */
@Injectable()
export class HealthInterval {
  constructor(
    private readonly own: OwnInterval,
    private readonly config: MonitoringConfig,
  ) {}

  get ms(): number {
    return this.own.ms ?? this.config.current().healthIntervalMs;
  }
}
