import { Injectable, Logger } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { Clock } from '../../../core/index.js';
import { observe, UNSEEN, type ComponentState } from './component-state.js';
import { CheckFailedError, errorCodeOf } from './error-code.js';
import type { CheckOutcome, ComponentView } from './health.types.js';

/** How a check says that what it looked at works, but badly. */
export interface Degraded {
  readonly degraded: true;
  readonly errorCode?: string;
}

/**
 * One run: resolves when all is well (or with `Degraded`, or with the result of a Terminus indicator),
 * rejects when it is not. It should end what it does when `signal` aborts.
 */
export type CheckRun = (context: {
  readonly signal: AbortSignal;
}) => PromiseLike<Degraded | HealthIndicatorResult | void> | Degraded | void;

export interface HealthCheck {
  readonly name: string;
  /** While a critical component is down, the service as a whole is in a critical state. */
  readonly critical: boolean;
  /** Read at each run, so that a changed configuration holds from the next run on. */
  readonly intervalMs: () => number;
  readonly timeoutMs: number;
  readonly failuresToDown: number;
  readonly passesToUp: number;
  /** Slower than this is degraded. */
  readonly degradedAboveMs?: number | undefined;
  /** The latency of a check that measures no dependency of its own says nothing and is shown as null. */
  readonly hidesLatency?: boolean;
  /** False while another instance runs this check; its results then come by `adopt`. */
  readonly isOurs?: () => boolean;
  /** How much later than here a result may be seen: for results that come from another instance. */
  readonly slackMs?: number;
  readonly run: CheckRun;
}

/** A component's state has been looked at. */
export interface Observation {
  readonly check: HealthCheck;
  readonly before: ComponentState;
  readonly after: ComponentState;
  /** Another instance looked; this one only learnt of it. */
  readonly adopted: boolean;
}

/** Thrown by a check that cannot say anything yet: nothing is noted, so the component stays or becomes unknown. */
export class NothingKnownError extends Error {}

interface Watched {
  readonly check: HealthCheck;
  state: ComponentState;
  dueMs: number;
  checkedMonoMs: number;
  running: Promise<void> | undefined;
  /** The run that its time-out gave up, as long as it has not ended. */
  hungSinceMs: number | undefined;
}

/** First runs are spread over this time, so that checks of one interval do not all run at the same moment. */
const MAX_START_JITTER_MS = 2_000;
/** A run that ignores its abort signal for so long is given up for good, and the check may run again. */
const HUNG_GIVEN_UP_MS = 60_000;
/** Own components, registered ones and 200 outside targets. */
export const MAX_CHECKS = 300;

/**
 * Runs checks in the background, each by its own interval and time-out, all side by side, none twice
 * at a time. Requests read what is stored here and wait for nothing.
 */
@Injectable()
export class CheckRunner {
  private readonly logger = new Logger(CheckRunner.name);
  private readonly watched = new Map<string, Watched>();
  private readonly listeners = new Set<(observation: Observation) => void>();
  private joint: Promise<void> | undefined;

  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly clock: Clock,
  ) {}

  /** Adds a check, or replaces the one of that name, whose state is then forgotten. */
  add(
    check: HealthCheck,
    jitterMs = Math.random() * Math.min(check.intervalMs(), MAX_START_JITTER_MS),
  ): void {
    if (!this.watched.has(check.name) && this.watched.size >= MAX_CHECKS)
      throw new RangeError(`there are ${MAX_CHECKS} health checks already`);
    this.watched.set(check.name, {
      check,
      state: UNSEEN,
      dueMs: this.clock.monotonicMs() + jitterMs,
      checkedMonoMs: -Infinity,
      running: undefined,
      hungSinceMs: undefined,
    });
  }

  remove(name: string): void {
    this.watched.delete(name);
  }

  /** @returns a function that removes the listener */
  onObserved(listener: (observation: Observation) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Starts what is due. Call often: it costs microseconds when nothing is. */
  tick(mayRun: (check: HealthCheck) => boolean = () => true): void {
    const now = this.clock.monotonicMs();
    for (const one of this.watched.values()) {
      const { check } = one;
      if (one.running || now < one.dueMs || check.isOurs?.() === false || !mayRun(check)) continue;
      void this.start(one);
    }
  }

  /** Runs one check now, or joins its run. Resolves within its time-out. */
  async runNow(name: string): Promise<void> {
    const one = this.watched.get(name);
    if (one) await (one.running ?? this.start(one));
  }

  /** Runs every check now; who comes meanwhile joins the same round. */
  runAllNow(): Promise<void> {
    this.joint ??= Promise.all([...this.watched.keys()].map((name) => this.runNow(name))).then(() => {
      this.joint = undefined;
    });
    return this.joint;
  }

  /** Takes over what another instance found `ageMs` ago. */
  adopt(name: string, state: ComponentState, ageMs: number): void {
    const one = this.watched.get(name);
    const checkedMonoMs = this.clock.monotonicMs() - ageMs;
    if (!one || checkedMonoMs <= one.checkedMonoMs) return;
    this.note(one, state, checkedMonoMs, true);
  }

  /** An interval was shortened: nobody waits for the rest of the longer one. */
  hasten(): void {
    const now = this.clock.monotonicMs();
    for (const one of this.watched.values()) one.dueMs = Math.min(one.dueMs, now + one.check.intervalMs());
  }

  stateOf(name: string): ComponentState | undefined {
    return this.watched.get(name)?.state;
  }

  /** By name; `ours` are those that this instance itself checks. */
  views(which: 'all' | 'ours' = 'all'): ComponentView[] {
    return [...this.watched.values()]
      .filter(({ check }) => which === 'all' || check.isOurs?.() !== false)
      .map((one) => this.view(one))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  viewOf(name: string): ComponentView | undefined {
    const one = this.watched.get(name);
    return one && this.view(one);
  }

  private view({ check, state, checkedMonoMs }: Watched): ComponentView {
    const ageMs = this.clock.monotonicMs() - checkedMonoMs;
    const seen = state.checkedAtMs !== null;
    const stale = seen && ageMs > freshForMs(check);
    return {
      name: check.name,
      status: stale ? 'unknown' : state.status,
      critical: check.critical,
      latencyMs: check.hidesLatency ? null : state.latencyMs,
      checkedAtMs: state.checkedAtMs,
      ageMs: seen ? Math.max(0, Math.round(ageMs)) : null,
      stale,
      sinceMs: stale ? null : state.sinceMs,
      consecutiveFailures: state.consecutiveFailures,
      ...(state.errorCode !== undefined && { errorCode: state.errorCode }),
    };
  }

  private start(one: Watched): Promise<void> {
    one.dueMs = this.clock.monotonicMs() + one.check.intervalMs();
    one.running = this.runOnce(one)
      .catch((error: Error) => this.logger.error(`check ${one.check.name}: ${error.message}`, error.stack))
      .finally(() => (one.running = undefined));
    return one.running;
  }

  private async runOnce(one: Watched): Promise<void> {
    const outcome = this.isHung(one) ? timedOut : await this.attempt(one);
    if (!outcome) return;
    const now = this.clock.monotonicMs();
    this.note(one, observe(one.state, outcome, this.clock.now(), one.check), now);
  }

  /** The run before ignores its abort signal: another beside it would only hang as well. */
  private isHung(one: Watched): boolean {
    if (one.hungSinceMs === undefined) return false;
    if (this.clock.monotonicMs() - one.hungSinceMs < HUNG_GIVEN_UP_MS) return true;
    one.hungSinceMs = undefined;
    return false;
  }

  private async attempt(one: Watched): Promise<CheckOutcome | undefined> {
    const { check } = one;
    const startedMs = this.clock.monotonicMs();
    let found: Degraded | HealthIndicatorResult | void = undefined;
    let failure: unknown;
    let ended = false;
    const result = await this.indicators
      .check('run')
      .attempt(async (context) => {
        try {
          found = await check.run(context);
          refuseDownIndicator(found);
        } catch (error) {
          failure = error;
          throw error;
        } finally {
          ended = true;
          one.hungSinceMs = undefined;
        }
      })
      .withTimeout(check.timeoutMs);
    const latencyMs = Math.round((this.clock.monotonicMs() - startedMs) * 100) / 100;
    if (!ended) {
      one.hungSinceMs = startedMs;
      return timedOut;
    }
    if (failure instanceof NothingKnownError) return undefined;
    if (result.run.status !== 'up')
      return { status: 'down', latencyMs: null, errorCode: errorCodeOf(failure) };
    return degradation(found, latencyMs, check) ?? { status: 'up', latencyMs };
  }

  private note(one: Watched, after: ComponentState, checkedMonoMs: number, adopted = false): void {
    const { check, state: before } = one;
    one.state = after;
    one.checkedMonoMs = checkedMonoMs;
    if (this.watched.get(check.name) !== one) return; // removed or replaced while it ran
    for (const listener of this.listeners) listener({ check, before, after, adopted });
  }
}

/** Until when a result is worth something: two missed runs and a time-out later nobody is looking any more. */
export function freshForMs(check: HealthCheck): number {
  return 2 * check.intervalMs() + check.timeoutMs + (check.slackMs ?? 0);
}

const timedOut: CheckOutcome = { status: 'down', latencyMs: null, errorCode: 'TIMEOUT' };

function refuseDownIndicator(found: Degraded | HealthIndicatorResult | void): void {
  if (indicatorStatus(found) === 'down') throw new CheckFailedError('FAILED');
}

/** What the first entry of a Terminus result says; undefined for anything else. */
function indicatorStatus(found: unknown): string | undefined {
  if (typeof found !== 'object' || found === null || 'degraded' in found) return undefined;
  const [entry] = Object.values(found) as unknown[];
  return typeof entry === 'object' && entry !== null && 'status' in entry ? String(entry.status) : undefined;
}

function degradation(
  found: Degraded | HealthIndicatorResult | void,
  latencyMs: number,
  check: HealthCheck,
): CheckOutcome | undefined {
  if (typeof found === 'object' && 'degraded' in found && found.degraded === true) {
    const errorCode = typeof found.errorCode === 'string' ? found.errorCode : 'DEGRADED';
    return { status: 'degraded', latencyMs, errorCode };
  }
  if (indicatorStatus(found) === 'degraded') return { status: 'degraded', latencyMs, errorCode: 'DEGRADED' };
  if (check.degradedAboveMs !== undefined && latencyMs > check.degradedAboveMs)
    return { status: 'degraded', latencyMs, errorCode: 'SLOW' };
  return undefined;
}
