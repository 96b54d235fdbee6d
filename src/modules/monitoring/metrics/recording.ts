import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Jobs, Shutdown } from '../../../core/index.js';
import { OwnInterval } from '../own-interval.js';
import { Collector } from './collector.js';
import { MonitoringConfig } from './config/monitoring-config.js';
import { EventLoopProbe } from './probes/event-loop.probe.js';
import { RequestHooks } from './requests/request-hooks.js';
import { SnapshotSources } from './snapshot-sources.js';

/** Starts and ends the recording of metrics with the application. */
@Injectable()
export class MetricsRecording implements OnModuleInit, OnApplicationBootstrap {
  private installed = false;

  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly hooks: RequestHooks,
    private readonly collector: Collector,
    private readonly eventLoop: EventLoopProbe,
    private readonly config: MonitoringConfig,
    private readonly own: OwnInterval,
    private readonly sources: SnapshotSources,
    private readonly jobs: Jobs,
    private readonly shutdown: Shutdown,
  ) {
    // Here and not in `configure()`: core's boundary answers refused requests from a hook that it
    // installs there, and only what comes before it can see them.
    this.installHooks();
  }

  async onModuleInit(): Promise<void> {
    this.eventLoop.start();
    this.sources.register('jobs', () => this.jobs.stats());
    this.shutdown.register('flush', 'metrics', () => this.collector.flush());
    this.shutdown.register('close', 'event loop monitor', () => this.eventLoop.stop());
    await this.collector.prime(); // modules that import ours may ask for a snapshot in their own onModuleInit
  }

  async onApplicationBootstrap(): Promise<void> {
    this.applyInterval();
    this.config.onChange(() => this.applyInterval());
    await this.collector.prime();
    this.collector.start();
  }

  /** Collects by the interval that holds now: this process's own one, else the configured one. */
  applyInterval(): void {
    this.collector.setInterval(this.own.ms ?? this.config.current().collectIntervalMs);
  }

  /** Done by the constructor; a second call changes nothing. */
  installHooks(): void {
    const fastify = this.adapter.httpAdapter?.getInstance<Partial<FastifyInstance>>();
    if (this.installed || !fastify?.addHook) return;
    this.installed = true;
    this.hooks.install(fastify as FastifyInstance);
  }
}
