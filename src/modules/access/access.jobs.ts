import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Instance, LeaderLoop, Leases, Shutdown } from '../../core/index.js';
import { ACCESS_OPTIONS, type AccessOptions } from './access.options.js';
import { RetentionStore } from './stores/retention.store.js';

const SWEEP_INTERVAL_MS = 60_000;

/** What runs by itself: once a minute, on one instance, old rows are removed. */
@Injectable()
export class AccessJobs implements OnApplicationBootstrap {
  private readonly sweep: LeaderLoop;

  constructor(
    @Inject(ACCESS_OPTIONS) private readonly access: AccessOptions,
    retention: RetentionStore,
    leases: Leases,
    instance: Instance,
    clock: Clock,
    shutdown: Shutdown,
  ) {
    const options = { name: 'access-retention', holder: instance.holder, intervalMs: SWEEP_INTERVAL_MS };
    this.sweep = new LeaderLoop(options, leases, clock, (lease) => retention.sweep(lease));
    shutdown.register('jobs', 'access retention', () => this.sweep.stop());
  }

  onApplicationBootstrap(): void {
    if (this.access.background ?? true) this.sweep.start();
  }
}
