import {
  Inject,
  Module,
  type DynamicModule,
  type NestModule,
  type OnApplicationBootstrap,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { DiscoveryModule, HttpAdapterHost, MetadataScanner } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { hostname } from 'node:os';
import { v4 as uuidv4 } from 'uuid';
import { AuditInterceptor } from './access/audit.interceptor.js';
import { Clock, SystemClock } from './clock/clock.js';
import { Instance, type CoreOptions } from './core.options.js';
import { absentDatabase } from './database/absent-database.js';
import { Database } from './database/database.js';
import { openDatabase } from './database/open-database.js';
import { EventBus } from './events/event-bus.js';
import { Admission } from './http/admission.js';
import { HttpBoundary } from './http/http-boundary.js';
import { InstanceBus } from './instance-bus/instance-bus.js';
import { JobProgress } from './jobs/job-progress.js';
import { Jobs } from './jobs/jobs.js';
import { Leases } from './leases/leases.js';
import { Shutdown } from './lifecycle/shutdown.js';
import { Outbox } from './outbox/outbox.js';
import { RedisConnections } from './redis/redis-connections.js';

const RUN_JOBS = Symbol('runJobs');

/** The ground floor: what every module stands on. Import it once, before the modules. */
@Module({})
export class CoreModule implements NestModule, OnModuleInit, OnApplicationBootstrap {
  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly boundary: HttpBoundary,
    private readonly bus: InstanceBus,
    private readonly database: Database,
    private readonly jobs: Jobs,
    private readonly progress: JobProgress,
    @Inject(RUN_JOBS) private readonly runsJobs: boolean,
  ) {}

  static forRoot(options: CoreOptions = {}): DynamicModule {
    const shared: Provider[] = [
      { provide: Clock, useClass: SystemClock },
      { provide: Instance, useFactory: (clock: Clock) => instanceOf(options, clock), inject: [Clock] },
      {
        provide: Database,
        useFactory: (shutdown: Shutdown) => databaseOf(options, shutdown),
        inject: [Shutdown],
      },
      {
        provide: RedisConnections,
        useFactory: (shutdown: Shutdown) => redisOf(options, shutdown),
        inject: [Shutdown],
      },
      { provide: InstanceBus, useFactory: busOf, inject: [Database, Clock, Shutdown] },
      ...[Shutdown, EventBus, Leases, Outbox, Jobs, JobProgress, AuditInterceptor, Admission],
    ];
    return {
      module: CoreModule,
      global: true,
      imports: [DiscoveryModule],
      providers: [
        ...shared,
        HttpBoundary,
        MetadataScanner,
        { provide: RUN_JOBS, useValue: options.runJobs ?? true },
      ],
      exports: shared,
    };
  }

  /** Nest calls this before it registers routes, which is when hooks and route policies must be there. */
  configure(): void {
    if (!this.adapter.httpAdapter) return; // no HTTP at all, e.g. a command line
    const fastify = this.adapter.httpAdapter.getInstance<Partial<FastifyInstance>>();
    if (fastify.addHook) this.boundary.install(fastify as FastifyInstance);
    else this.boundary.refuseRoutes();
  }

  async onModuleInit(): Promise<void> {
    if (this.database.isConfigured) await this.bus.start();
  }

  /** By now every module has defined its jobs. */
  async onApplicationBootstrap(): Promise<void> {
    if (!this.database.isConfigured || !this.runsJobs) return;
    await this.jobs.start();
    this.progress.start();
  }
}

function instanceOf({ instanceId }: CoreOptions, clock: Clock): Instance {
  return new Instance(instanceId ?? `${hostname()}:${process.pid}`, uuidv4(), clock.now());
}

async function databaseOf({ database: options }: CoreOptions, shutdown: Shutdown): Promise<Database> {
  if (!options) return absentDatabase();
  const database = await openDatabase(options);
  shutdown.register('close', 'database pool', () => database.close());
  return database;
}

function redisOf({ redis }: CoreOptions, shutdown: Shutdown): RedisConnections {
  const connections = new RedisConnections(redis?.url);
  shutdown.register('close', 'redis', () => connections.close());
  return connections;
}

function busOf(database: Database, clock: Clock, shutdown: Shutdown): InstanceBus {
  const bus = new InstanceBus(database, clock);
  shutdown.register('close', 'instance bus', () => bus.stop());
  return bus;
}
