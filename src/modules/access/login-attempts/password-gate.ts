import { Injectable, Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clock, DependencyUnavailableError, RateLimitedError } from '../../../core/index.js';
import { OverloadedError } from '../access.errors.js';
import { MAX_FAILURES } from './attempt-log.js';
import { clientOf } from './client-address.js';
import { LoginAttempts, type Attempt, type AttemptTicket } from './login-attempts.port.js';

/** As many of one client's attempts as may be under way anywhere; the others wait here, in line. */
const MAX_AT_ONCE_PER_CLIENT = MAX_FAILURES.address;
/** Callers of one client in line, so that none can fill the line for the others; an office at nine is fewer. */
export const MAX_IN_LINE_PER_CLIENT = 200;
/** Callers in line over all clients; beyond it they are told to come back. */
export const MAX_IN_LINE = 1_000;
/** While another instance holds the places: ask again every 50 ms, for at most 3 s. */
const BUSY_POLL_MS = 50;
const BUSY_TIMEOUT_MS = 3_000;

interface Line {
  running: number;
  readonly waiting: (() => void)[];
}

/** Lets passwords be looked at under the login limits, for sign-in and for whatever else asks for one. */
@Injectable()
export class PasswordGate {
  private readonly lines = new Map<string, Line>();
  private inLine = 0;
  private readonly logger = new Logger(PasswordGate.name);

  constructor(
    private readonly attempts: LoginAttempts,
    private readonly clock: Clock,
  ) {}

  /**
   * @param check looks at the password: null says that it was wrong, which counts against client and account
   * @throws RateLimitedError when the client or the account has failed too often
   */
  async guard<T>(attempt: Attempt, check: () => Promise<T | null>): Promise<T | null> {
    const client = clientOf(attempt.ip);
    await this.enter(client);
    try {
      return await this.settled(await this.admit(attempt), check);
    } finally {
      this.leave(client);
    }
  }

  /** A check that broke down proves nothing against anybody. */
  private async settled<T>(ticket: AttemptTicket, check: () => Promise<T | null>): Promise<T | null> {
    try {
      const proven = await check();
      await this.settle(ticket, proven === null);
      return proven;
    } catch (error) {
      const settling = this.settle(ticket, false);
      // The caller has waited for PostgreSQL once already, and shall not wait for it again.
      if (!(error instanceof DependencyUnavailableError)) await settling;
      throw error;
    }
  }

  /** Never fails: the password's answer stands, and a place that is not given back counts as a failure. */
  private async settle(ticket: AttemptTicket, failed: boolean): Promise<void> {
    try {
      await this.attempts.settle(ticket, failed);
    } catch (error) {
      this.logger.warn(`an attempt counts as failed, because it was not settled: ${String(error)}`);
    }
  }

  private async admit(attempt: Attempt): Promise<AttemptTicket> {
    const deadlineMs = this.clock.monotonicMs() + BUSY_TIMEOUT_MS;
    for (;;) {
      const verdict = await this.attempts.begin(attempt);
      if (verdict.outcome === 'admitted') return verdict.ticket;
      if (verdict.outcome === 'refused') throw this.refusal(verdict.retryAfterMs);
      if (this.clock.monotonicMs() >= deadlineMs) throw this.refusal(1_000);
      await sleep(BUSY_POLL_MS);
    }
  }

  private refusal(retryAfterMs: number): RateLimitedError {
    return new RateLimitedError(
      'too many failed attempts; wait before the next one',
      retryAfterMs,
      this.clock.now(),
    );
  }

  private async enter(client: string): Promise<void> {
    const line = this.lines.get(client) ?? { running: 0, waiting: [] };
    this.lines.set(client, line);
    if (line.running < MAX_AT_ONCE_PER_CLIENT) {
      line.running += 1;
      return;
    }
    if (line.waiting.length >= MAX_IN_LINE_PER_CLIENT) throw this.refusal(1_000);
    if (this.inLine >= MAX_IN_LINE) throw new OverloadedError();
    this.inLine += 1;
    await new Promise<void>((resolve) => line.waiting.push(resolve));
    this.inLine -= 1;
  }

  private leave(client: string): void {
    const line = this.lines.get(client);
    const next = line?.waiting.shift();
    if (next) return next();
    if (line) line.running -= 1;
    if (line?.running === 0) this.lines.delete(client);
  }
}
