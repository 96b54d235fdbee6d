import { Injectable, Logger } from '@nestjs/common';
import type { Pool } from 'pg';
import { Clock } from '../clock/clock.js';
import { Ticker } from '../clock/ticker.js';
import { Instance } from '../core.options.js';
import { Database } from '../database/database.js';
import { LeaderLoop } from '../leases/leader-loop.js';
import { Leases } from '../leases/leases.js';
import { Shutdown } from '../lifecycle/shutdown.js';
import { jobsPool, migrateJobs, Queue, Worker } from './bullmq-backend.js';

/** Two lanes, so that an hour-long backup never keeps a one-second job waiting. */
export const LANES = ['short', 'long'] as const;
export type Lane = (typeof LANES)[number];

export interface JobContext {
  /** Aborted when the job must stop: its lock was lost or the process ends. */
  readonly signal: AbortSignal | undefined;
}

/** What is done for one row. May run twice, so it must be idempotent or fenced. */
export type JobRun = (rowId: string, context: JobContext) => Promise<void>;

export interface JobDefinition {
  /** Unique, e.g. `backup.run`. */
  readonly name: string;
  readonly lane: Lane;
  readonly run: JobRun;
  /** Row ids that should have a job and may have lost it in a crash; asked every 10 s by one instance. */
  readonly unstarted?: () => Promise<readonly string[]>;
}

export type JobSchedule = { readonly everyMs: number } | { readonly cron: string; readonly timezone: string };

export interface JobStats {
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
}

interface JobData {
  readonly rowId: string;
}

const ADD_TIMEOUT_MS = 1_500;
const SWEEP_INTERVAL_MS = 10_000;
const REBUILD_INTERVAL_MS = 2_000;
const HEARTBEAT_INTERVAL_MS = 15_000;
const HEARTBEAT = 'core.heartbeat';
const CONCURRENCY = 4;
/** Closing waits this long for running jobs; what is left is taken up elsewhere after its lock ends. */
const CLOSE_TIMEOUT_MS = 3_000;
/** A running job may end by itself for so long; then its signal is aborted. */
const FINISH_MS = 1_000;
const SAY_AGAIN_MS = 10_000;
const MAX_NOTED_ERRORS = 50;

type LaneQueue = InstanceType<typeof Queue<JobData, void>>;
type LaneWorker = InstanceType<typeof Worker<JobData, void>>;

/**
 * Background jobs on PostgreSQL: a row is the truth and a job only wakes a worker for it. Insert the
 * row, commit, then `add`; what a crash leaves out, the sweep adds. At least once per row.
 */
@Injectable()
export class Jobs {
  private readonly logger = new Logger(Jobs.name);
  private readonly definitions = new Map<string, JobDefinition>();
  private readonly schedules = new Map<string, JobSchedule>();
  private readonly queues = new Map<Lane, LaneQueue>();
  private readonly workers = new Map<Lane, LaneWorker>();
  private readonly sweep: LeaderLoop;
  private readonly builder: Ticker;
  private pool: Pool | undefined;
  private migrated = false;
  private readonly notedErrors = new Map<string, number>();

  constructor(
    private readonly database: Database,
    leases: Leases,
    private readonly clock: Clock,
    instance: Instance,
    shutdown: Shutdown,
  ) {
    const loop = { name: 'jobs-sweep', holder: instance.holder, intervalMs: SWEEP_INTERVAL_MS };
    this.sweep = new LeaderLoop(loop, leases, clock, () => this.addUnstarted());
    this.builder = new Ticker({ name: 'jobs', intervalMs: REBUILD_INTERVAL_MS }, clock, () => this.build());
    this.define(
      { name: HEARTBEAT, lane: 'short', run: () => this.beat() },
      { everyMs: HEARTBEAT_INTERVAL_MS },
    );
    shutdown.register('jobs', 'workers and queues', () => this.stop());
  }

  /**
   * Declares a kind of job; call before the app has started. A schedule adds one by itself, once per
   * tick over all instances, with the definition's name as row id.
   */
  define(definition: JobDefinition, schedule?: JobSchedule): void {
    if (this.definitions.has(definition.name)) throw new Error(`job ${definition.name} is defined already`);
    this.definitions.set(definition.name, definition);
    if (schedule) this.schedules.set(definition.name, schedule);
  }

  async start(): Promise<void> {
    await this.build();
    this.builder.start();
    this.sweep.start();
  }

  /**
   * Wakes a worker for a row that is committed. While a job for the same row waits or runs, nothing
   * is added. Never throws and never hangs: what cannot be added now, the sweep adds.
   */
  async add(name: string, rowId: string): Promise<void> {
    const definition = this.definitions.get(name);
    if (!definition) throw new Error(`job ${name} is not defined`);
    const queue = this.queues.get(definition.lane);
    try {
      if (!queue) throw new Error('the queue is not connected');
      await within(ADD_TIMEOUT_MS, queue.add(name, { rowId }, { deduplication: { id: `${name}:${rowId}` } }));
    } catch (error) {
      this.logger.warn(`job ${name} for ${rowId} is left to the sweep: ${(error as Error).message}`);
    }
  }

  async stats(): Promise<JobStats> {
    const counts = await Promise.all(
      [...this.queues.values()].map((queue) =>
        queue.getJobCounts('waiting', 'active', 'failed', 'prioritized', 'delayed'),
      ),
    );
    const sum = (...states: string[]) =>
      counts.reduce((total, lane) => total + states.reduce((n, state) => n + (lane[state] ?? 0), 0), 0);
    return { waiting: sum('waiting', 'prioritized'), active: sum('active'), failed: sum('failed') };
  }

  /** When a worker of any instance last finished a heartbeat job, epoch milliseconds by PostgreSQL's clock; null before the first. */
  async lastHeartbeatAtMs(): Promise<number | null> {
    const rows = await this.database.query<{ at: Date }>('SELECT at FROM vigia.worker_heartbeat', [], {
      readOnly: true,
    });
    return rows[0]?.at.getTime() ?? null;
  }

  /** How long the oldest waiting job has been waiting, in milliseconds; 0 when none waits. */
  async oldestWaitingAgeMs(): Promise<number> {
    const oldest = await Promise.all([...this.queues.values()].map((queue) => queue.getWaiting(0, 0)));
    const stamps = oldest.flat().map((job) => job.timestamp + (job.delay ?? 0));
    return stamps.length === 0 ? 0 : Math.max(0, this.clock.now() - Math.min(...stamps));
  }

  private beat(): Promise<void> {
    return this.database
      .execute(
        `INSERT INTO vigia.worker_heartbeat (id, at) VALUES (1, clock_timestamp())
         ON CONFLICT (id) DO UPDATE SET at = excluded.at`,
      )
      .then(() => undefined);
  }

  /** A queue or worker made while PostgreSQL is away stays broken for ever, so such a one is made anew. */
  private async build(): Promise<void> {
    this.pool ??= jobsPool(this.database.address.pg, LANES.length, (error) => this.noteError(error));
    if (!this.migrated) await migrateJobs(this.pool);
    this.migrated = true;
    for (const lane of LANES) {
      if (!this.queues.has(lane)) this.queues.set(lane, await this.openQueue(this.pool, lane));
      if (!this.workers.has(lane)) this.workers.set(lane, await this.openWorker(this.pool, lane));
    }
  }

  private async openQueue(pool: Pool, lane: Lane): Promise<LaneQueue> {
    const queue = new Queue<JobData, void>(lane, {
      connection: pool,
      streams: { events: { maxLen: 1_000 } },
      defaultJobOptions: {
        attempts: 5,
        backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
        removeOnComplete: true,
        removeOnFail: { count: 1_000, age: 86_400 },
      },
    });
    queue.on('error', (error) => this.noteError(error));
    await orClose(queue, queue.waitUntilReady());
    await orClose(queue, this.upsertSchedules(queue, lane));
    return queue;
  }

  private async upsertSchedules(queue: LaneQueue, lane: Lane): Promise<void> {
    for (const [name, schedule] of this.schedules) {
      if (this.definitions.get(name)?.lane !== lane) continue;
      const repeat =
        'everyMs' in schedule
          ? { every: schedule.everyMs }
          : { pattern: schedule.cron, tz: schedule.timezone };
      await queue.upsertJobScheduler(name, repeat, { name, data: { rowId: name } });
    }
  }

  private async openWorker(pool: Pool, lane: Lane): Promise<LaneWorker> {
    const worker = new Worker<JobData, void>(
      lane,
      async (job, _token, signal) => this.run(job.name, job.data.rowId, signal),
      {
        connection: pool,
        concurrency: CONCURRENCY,
        lockDuration: 15_000,
        stalledInterval: 5_000,
        maxStalledCount: 3,
        runRetryDelay: 1_000,
        drainDelay: 5,
      },
    );
    worker.on('error', (error) => this.noteError(error));
    worker.on('lockRenewalFailed', (ids) => ids.forEach((id) => worker.cancelJob(id)));
    worker.on('failed', (job, error) =>
      this.logger.warn(`job ${job?.name} for ${job?.data.rowId} failed: ${error.message}`),
    );
    await orClose(worker, worker.waitUntilReady());
    return worker;
  }

  private async run(name: string, rowId: string, signal: AbortSignal | undefined): Promise<void> {
    const definition = this.definitions.get(name);
    if (!definition) throw new Error(`no definition for job ${name}: an older or newer version added it`);
    await definition.run(rowId, { signal });
  }

  private async addUnstarted(): Promise<void> {
    for (const { name, unstarted } of this.definitions.values()) {
      try {
        for (const rowId of (await unstarted?.()) ?? []) await this.add(name, rowId);
      } catch (error) {
        this.logger.error(`cannot tell which ${name} jobs are missing: ${(error as Error).message}`);
      }
    }
  }

  private async stop(): Promise<void> {
    await this.builder.stop();
    await this.sweep.stop();
    const workers = [...this.workers.values()];
    const cancel = setTimeout(
      () => workers.forEach((worker) => worker.cancelAllJobs('the process ends')),
      FINISH_MS,
    );
    const closing = Promise.all(workers.map((worker) => worker.close()))
      .then(() => Promise.all([...this.queues.values()].map((queue) => queue.close())))
      .then(() => this.pool?.end());
    await within(CLOSE_TIMEOUT_MS, closing).finally(() => clearTimeout(cancel));
  }

  /** During an outage the same error comes once a second and connection: once in ten seconds it is said. */
  private noteError({ message }: Error): void {
    const now = this.clock.monotonicMs();
    if (now - (this.notedErrors.get(message) ?? -Infinity) < SAY_AGAIN_MS) return;
    if (this.notedErrors.size >= MAX_NOTED_ERRORS) this.notedErrors.clear();
    this.notedErrors.set(message, now);
    this.logger.warn(`jobs: ${message}`);
  }
}

async function orClose(opened: { close(): Promise<void> }, ready: Promise<unknown>): Promise<void> {
  try {
    await ready;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
