import { Injectable, Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Clock } from '../clock/clock.js';
import { Instance } from '../core.options.js';
import { Database, type Queryable } from '../database/database.js';
import { InstanceBus } from '../instance-bus/instance-bus.js';
import { LeaderLoop } from '../leases/leader-loop.js';
import { Leases } from '../leases/leases.js';
import { Shutdown } from '../lifecycle/shutdown.js';

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** What is known of one long job. */
export interface JobProgressRow {
  readonly jobId: string;
  readonly kind: string;
  readonly ownerId: string | null;
  /** The work runs in another program, which reports by REST. */
  readonly external: boolean;
  readonly state: JobState;
  readonly phase: string | null;
  readonly done: number;
  readonly total: number | null;
  readonly unit: string | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly result: unknown;
  /** Grows with every change, so that a reader can drop what arrives late. */
  readonly version: number;
  readonly startedAt: Date;
  readonly updatedAt: Date;
}

export interface NewJob {
  readonly jobId?: string;
  readonly kind: string;
  readonly ownerId: string | null;
  readonly external?: boolean;
  readonly total?: number;
  readonly unit?: string;
}

export interface JobUpdate {
  readonly phase?: string;
  readonly done?: number;
  readonly total?: number;
}

/** Name of the bus topic under which changes are announced, with the job's id. */
export const JOB_PROGRESS_TOPIC = 'job-progress';

/** At most four changes a second and job are written; the latest wins. */
const COALESCE_MS = 250;
/** A running job that says nothing for so long has been lost. */
export const LOST_AFTER_MS = 60_000;
const KEEP_ALIVE_MS = 15_000;
const LOST_SWEEP_MS = 5_000;
const MAX_SUSPECTS = 1_000;
/** Ended jobs are kept for 30 days. */
const KEEP_ENDED_MS = 30 * 86_400_000;
const FORGET_BATCH = 1_000;

/** Jobs of ours that wait for their turn are not silent; those of other programs report from the start. */
const SILENT = `(state = 'running' OR (state = 'queued' AND external))
  AND updated_at < clock_timestamp() - $1 * interval '1 millisecond'`;

const COLUMNS = `job_id, kind, owner_id, external, state, phase, done, total, unit, error_code, error_message,
  result, version, started_at, updated_at`;

interface Row {
  job_id: string;
  kind: string;
  owner_id: string | null;
  external: boolean;
  state: JobState;
  phase: string | null;
  done: number;
  total: number | null;
  unit: string | null;
  error_code: string | null;
  error_message: string | null;
  result: unknown;
  version: number;
  started_at: Date;
  updated_at: Date;
}

/**
 * Progress of long jobs: persisted, monotonic, with exactly one terminal state. Whatever is reported
 * after the end, or behind what was reported before, changes nothing.
 */
@Injectable()
export class JobProgress {
  private readonly logger = new Logger(JobProgress.name);
  private readonly lostSweep: LeaderLoop;
  /** Jobs that were silent at the last look, bounded by MAX_SUSPECTS. */
  private readonly suspects = new Map<string, { version: number; sinceMs: number }>();

  constructor(
    private readonly database: Database,
    private readonly bus: InstanceBus,
    private readonly clock: Clock,
    leases: Leases,
    instance: Instance,
    shutdown: Shutdown,
  ) {
    const loop = { name: 'job-progress-lost', holder: instance.holder, intervalMs: LOST_SWEEP_MS };
    this.lostSweep = new LeaderLoop(loop, leases, clock, async () => {
      await this.failLost();
      await this.forgetEnded();
    });
    shutdown.register('jobs', 'lost jobs sweep', () => this.lostSweep.stop());
  }

  start(): void {
    this.lostSweep.start();
  }

  /** Makes the row of a queued job, in the caller's transaction. @returns its id */
  async create(tx: Queryable, job: NewJob): Promise<string> {
    const jobId = job.jobId ?? uuidv7();
    await tx.execute(
      `INSERT INTO vigia.job_progress (job_id, kind, owner_id, external, state, total, unit)
       VALUES ($1, $2, $3, $4, 'queued', $5, $6)`,
      [jobId, job.kind, job.ownerId, job.external ?? false, job.total ?? null, job.unit ?? null],
    );
    await this.bus.publish(tx, JOB_PROGRESS_TOPIC, jobId);
    return jobId;
  }

  async find(jobId: string): Promise<JobProgressRow | null> {
    const rows = await this.database.query<Row>(
      `SELECT ${COLUMNS} FROM vigia.job_progress WHERE job_id = $1`,
      [jobId],
      { readOnly: true },
    );
    return rows[0] ? toProgress(rows[0]) : null;
  }

  /** For whoever does the work: reports cheaply, as often as it likes. */
  track(jobId: string): JobTracker {
    return new JobTracker(
      jobId,
      this.clock,
      (update) => this.report(jobId, update),
      (error) => this.logger.warn(`progress of ${jobId} not written: ${error.message}`),
    );
  }

  /** @returns false when the job has ended, so the report changed nothing */
  report(jobId: string, update: JobUpdate): Promise<boolean> {
    return this.change(
      jobId,
      `state = 'running', phase = coalesce($2, phase), done = greatest(done, coalesce($3, done)), total = coalesce($4, total)`,
      [update.phase ?? null, update.done ?? null, update.total ?? null],
    );
  }

  /** @returns false when the job had ended before; the first end stands */
  succeed(jobId: string, result: unknown = null): Promise<boolean> {
    return this.change(
      jobId,
      `state = 'succeeded', done = coalesce(total, done), result = $2, ended_at = clock_timestamp()`,
      [result === null ? null : JSON.stringify(result)],
    );
  }

  fail(jobId: string, code: string, message: string, result: unknown = null): Promise<boolean> {
    return this.change(
      jobId,
      `state = 'failed', error_code = $2, error_message = $3, result = $4, ended_at = clock_timestamp()`,
      [code, message.slice(0, 500), result === null ? null : JSON.stringify(result)],
    );
  }

  cancel(jobId: string): Promise<boolean> {
    return this.change(jobId, `state = 'cancelled', ended_at = clock_timestamp()`, []);
  }

  private change(jobId: string, set: string, values: readonly unknown[]): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const changed = await tx.execute(
        `UPDATE vigia.job_progress SET ${set}, version = version + 1, updated_at = clock_timestamp()
         WHERE job_id = $1 AND state IN ('queued', 'running')`,
        [jobId, ...values],
      );
      if (changed === 1) await this.bus.publish(tx, JOB_PROGRESS_TOPIC, jobId);
      return changed === 1;
    });
  }

  /**
   * A job is lost when it was silent at two looks a keep-alive apart: after an outage of ours every job
   * looks silent until its tracker has had its turn.
   */
  private async failLost(): Promise<void> {
    const silent = await this.database.query<{ job_id: string; version: number }>(
      `SELECT job_id, version FROM vigia.job_progress WHERE ${SILENT} LIMIT ${MAX_SUSPECTS}`,
      [LOST_AFTER_MS],
    );
    const suspects = new Map(silent.map(({ job_id, version }) => [job_id, version]));
    const now = this.clock.monotonicMs();
    for (const [jobId, { version, sinceMs }] of this.suspects) {
      if (suspects.get(jobId) !== version) this.suspects.delete(jobId);
      else if (now - sinceMs >= KEEP_ALIVE_MS + LOST_SWEEP_MS) await this.failIfStillSilent(jobId);
    }
    for (const [jobId, version] of suspects) {
      if (!this.suspects.has(jobId)) this.suspects.set(jobId, { version, sinceMs: now });
    }
  }

  private async failIfStillSilent(jobId: string): Promise<void> {
    this.suspects.delete(jobId);
    await this.database.transaction(async (tx) => {
      const failed = await tx.execute(
        `UPDATE vigia.job_progress SET state = 'failed', error_code = 'LOST', error_message = $3,
           version = version + 1, updated_at = clock_timestamp(), ended_at = clock_timestamp()
         WHERE ${SILENT} AND job_id = $2`,
        [LOST_AFTER_MS, jobId, `nothing was heard of this job for ${LOST_AFTER_MS / 1000} s`],
      );
      if (failed === 1) await this.bus.publish(tx, JOB_PROGRESS_TOPIC, jobId);
    });
  }

  private async forgetEnded(): Promise<void> {
    await this.database.execute(
      `DELETE FROM vigia.job_progress WHERE job_id IN (
         SELECT job_id FROM vigia.job_progress
         WHERE ended_at < clock_timestamp() - $1 * interval '1 millisecond' LIMIT ${FORGET_BATCH})`,
      [KEEP_ENDED_MS],
    );
  }
}

/** Gathers reports of one job and writes at most four a second; keeps a silent but living job alive. */
export class JobTracker {
  private pending: JobUpdate | undefined;
  private timer: NodeJS.Timeout | undefined;
  private writing = false;
  private stopped = false;
  private lastWriteMs = -Infinity;

  constructor(
    readonly jobId: string,
    private readonly clock: Clock,
    private readonly write: (update: JobUpdate) => Promise<boolean>,
    private readonly onError: (error: Error) => void,
  ) {
    this.update({});
  }

  update(update: JobUpdate): void {
    this.pending = { ...this.pending, ...update };
    if (!this.writing) this.schedule(Math.max(0, this.lastWriteMs + COALESCE_MS - this.clock.monotonicMs()));
  }

  /** Call when the work has ended, in whatever way; then write the end by JobProgress. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(delayMs: number): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.flush(), delayMs);
    this.timer.unref();
  }

  /** One write at a time, so that none can land after a newer one; what failed goes with the next. */
  private async flush(): Promise<void> {
    const update = this.pending ?? {};
    this.pending = undefined;
    this.writing = true;
    this.lastWriteMs = this.clock.monotonicMs();
    try {
      await this.write(update);
    } catch (error) {
      this.pending = { ...update, ...(this.pending as JobUpdate | undefined) };
      this.onError(error as Error);
    }
    this.writing = false;
    this.schedule(this.pending ? COALESCE_MS : KEEP_ALIVE_MS);
  }
}

function toProgress(row: Row): JobProgressRow {
  return {
    jobId: row.job_id,
    kind: row.kind,
    ownerId: row.owner_id,
    external: row.external,
    state: row.state,
    phase: row.phase,
    done: row.done,
    total: row.total,
    unit: row.unit,
    error: row.error_code ? { code: row.error_code, message: row.error_message ?? '' } : null,
    result: row.result,
    version: row.version,
    startedAt: row.started_at,
    updatedAt: row.updated_at,
  };
}
