import { Injectable, Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Clock, Instance, type Queryable } from '../../../core/index.js';
import type { ComponentStatus } from './health.types.js';
import { ComponentStatusStore, type StatusRow } from './stores/component-status.store.js';

/** An open interval is confirmed in the database at most this often; so much is unknown after a kill. */
export const CONFIRM_EVERY_MS = 30_000;
/** Intervals that wait for a database that is away; beyond them the oldest is forgotten, which makes its time unknown. */
export const MAX_WAITING_INTERVALS = 2_000;
/** Wall and monotonic time may drift so far apart between two results before it is called a jump. */
const CLOCK_JUMP_MS = 5_000;

export interface Seen {
  readonly component: string;
  readonly status: ComponentStatus;
  /** When that status began, epoch milliseconds. */
  readonly sinceMs: number;
  /** When it was seen last, epoch milliseconds. */
  readonly atMs: number;
  /** A longer silence than this was not watched. */
  readonly freshForMs: number;
}

interface OpenInterval extends StatusRow {
  endedAtMs: number | null;
  confirmedAtMs: number;
  confirmedMonoMs: number;
  flushedMs: number;
}

/**
 * What each component was, as intervals of time. Nobody's time is guessed: an interval ends where it
 * was last confirmed when the watching itself stopped (a kill, a suspended machine, a clock that was
 * set), and what no interval covers is unknown.
 */
@Injectable()
export class ComponentHistory {
  private readonly logger = new Logger(ComponentHistory.name);
  private readonly open = new Map<string, OpenInterval>();
  private closed: OpenInterval[] = [];
  private outside = new Set<string>();
  /** Intervals that were forgotten because the database was away too long. */
  forgotten = 0;

  constructor(
    private readonly store: ComponentStatusStore,
    private readonly clock: Clock,
    private readonly instance: Instance,
  ) {}

  /** Closes what an earlier process under our name left open, where it was last confirmed. */
  async begin(): Promise<void> {
    await this.store.closeLeftOpen(this.instance.id);
  }

  /** Takes note of a result. `shared` for outside targets, which one leader watches for all. */
  see(seen: Seen, shared = false): void {
    const { component, status } = seen;
    const open = this.open.get(component);
    const watched = open !== undefined && this.wasWatched(open, seen);
    if (open && watched && open.status === status) {
      open.confirmedAtMs = Math.max(open.confirmedAtMs, seen.atMs);
      open.confirmedMonoMs = this.clock.monotonicMs();
      return;
    }
    const startedAtMs = watched ? Math.max(seen.sinceMs, open.startedAtMs) : seen.atMs;
    if (open) this.close(open, watched ? startedAtMs : open.confirmedAtMs);
    if (shared) this.outside.add(component);
    if (status !== 'unknown') this.openNew(component, status, startedAtMs, seen, shared);
  }

  /** Ends what is known of a component, where it was last confirmed. */
  forget(component: string): void {
    const open = this.open.get(component);
    if (open) this.close(open, open.confirmedAtMs);
  }

  /** Ends all shared intervals: another instance watches from now on. */
  yieldShared(): void {
    for (const component of this.outside) this.open.delete(component);
    this.closed = this.closed.filter(({ instance }) => instance !== null);
    this.outside = new Set();
  }

  /** Writes what is new; repeated as a whole if it fails, since rows are keyed by their id. */
  async flush(tx: Queryable, scope: 'own' | 'shared', confirmAll = false): Promise<void> {
    const belongs = ({ instance }: OpenInterval) => (instance === null) === (scope === 'shared');
    const nowMs = this.clock.monotonicMs();
    const closed = this.closed.filter(belongs);
    const due = [...this.open.values()].filter(
      (one) => belongs(one) && (confirmAll || nowMs - one.flushedMs >= CONFIRM_EVERY_MS),
    );
    if (closed.length + due.length === 0) return;
    await this.store.save(tx, [...closed, ...due]);
    if (scope === 'own' && this.forgotten > 0) {
      this.logger.warn(`${this.forgotten} status changes were forgotten while the database was away`);
      this.forgotten = 0;
    }
    const done = new Set(closed);
    this.closed = this.closed.filter((one) => !done.has(one));
    for (const one of due) one.flushedMs = nowMs;
  }

  /** At an orderly stop all that we watch ends now. */
  async end(tx: Queryable): Promise<void> {
    for (const one of [...this.open.values()].filter(({ instance }) => instance !== null))
      this.close(one, one.confirmedAtMs);
    await this.flush(tx, 'own');
  }

  private openNew(
    component: string,
    status: Exclude<ComponentStatus, 'unknown'>,
    startedAtMs: number,
    seen: Seen,
    shared: boolean,
  ): void {
    this.open.set(component, {
      id: uuidv7(),
      component,
      instance: shared ? null : this.instance.id,
      status,
      startedAtMs,
      confirmedAtMs: Math.max(startedAtMs, seen.atMs),
      endedAtMs: null,
      graceMs: seen.freshForMs + CONFIRM_EVERY_MS,
      confirmedMonoMs: this.clock.monotonicMs(),
      flushedMs: -Infinity,
    });
  }

  private wasWatched(open: OpenInterval, { atMs, freshForMs }: Seen): boolean {
    const silentMs = this.clock.monotonicMs() - open.confirmedMonoMs;
    const jumpMs = Math.abs(atMs - open.confirmedAtMs - silentMs);
    return silentMs <= freshForMs && jumpMs <= CLOCK_JUMP_MS;
  }

  private close(open: OpenInterval, endMs: number): void {
    this.open.delete(open.component);
    open.endedAtMs = Math.max(open.startedAtMs, endMs);
    open.confirmedAtMs = Math.max(open.startedAtMs, Math.min(open.confirmedAtMs, open.endedAtMs));
    this.closed.push(open);
    if (this.closed.length <= MAX_WAITING_INTERVALS) return;
    this.closed.shift();
    if (this.forgotten === 0)
      this.logger.warn(
        `${MAX_WAITING_INTERVALS} status changes wait for the database; the oldest become unknown`,
      );
    this.forgotten += 1;
  }
}
