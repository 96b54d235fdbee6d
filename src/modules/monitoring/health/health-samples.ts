import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { MetricSample } from '../metrics/metrics.types.js';
import { SnapshotSources } from '../metrics/snapshot-sources.js';
import { CheckRunner } from './check-runner.js';
import type { ComponentView } from './health.types.js';

const OUTSIDE = 'check:';
const VALUE = { up: 0, degraded: 1, down: 2 } as const;

/** Adds the components to every collection, so that rules and history can use them. */
@Injectable()
export class HealthSamples implements OnModuleInit {
  constructor(
    private readonly runner: CheckRunner,
    private readonly sources: SnapshotSources,
  ) {}

  onModuleInit(): void {
    // Outside targets by their leader alone: two instances that store one finding would count it twice.
    this.sources.registerSamples('health', () => this.runner.views('ours').flatMap(samplesOf));
  }
}

function samplesOf({ name, status, latencyMs }: ComponentView): MetricSample[] {
  if (status === 'unknown') return [];
  const samples: MetricSample[] = [
    { name: 'component.status', labels: { component: name }, value: VALUE[status] },
  ];
  if (name.startsWith(OUTSIDE) && latencyMs !== null) {
    samples.push({
      name: 'check.latency_ms',
      labels: { check: name.slice(OUTSIDE.length) },
      value: latencyMs,
    });
  }
  return samples;
}
