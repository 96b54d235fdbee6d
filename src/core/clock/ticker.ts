import { Logger } from '@nestjs/common';
import type { Clock } from './clock.js';

/** What one tick learns about the time it runs at. */
export interface Tick {
  /** The point of the interval grid that this tick stands for, epoch milliseconds. */
  readonly atMs: number;
  /** How long after that point it really started, in milliseconds. */
  readonly lateMs: number;
}

export interface TickerOptions {
  readonly name: string;
  readonly intervalMs: number;
  /** Align ticks to multiples of the interval in wall time, so that instances share one grid. */
  readonly aligned?: boolean;
}

/**
 * Runs one piece of work every `intervalMs`, never twice at a time. A tick that finds its
 * predecessor still running is skipped and counted; missed ticks (a suspended laptop, a clock
 * set forward) are not replayed.
 */
export class Ticker {
  private readonly logger: Logger;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private intervalMs: number;
  private stopped = true;
  private failures = 0;
  skipped = 0;

  constructor(
    private readonly options: TickerOptions,
    private readonly clock: Clock,
    private readonly work: (tick: Tick) => Promise<void> | void,
  ) {
    this.intervalMs = options.intervalMs;
    this.logger = new Logger(`Ticker:${options.name}`);
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.schedule();
  }

  /** Stops, and resolves when the work that is under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  setInterval(intervalMs: number): void {
    if (intervalMs === this.intervalMs) return;
    this.intervalMs = intervalMs;
    if (this.stopped) return;
    clearTimeout(this.timer);
    this.schedule();
  }

  private schedule(): void {
    const now = this.clock.now();
    const dueMs = this.options.aligned
      ? (Math.floor(now / this.intervalMs) + 1) * this.intervalMs
      : now + this.intervalMs;
    this.timer = setTimeout(() => this.fire(dueMs), dueMs - now);
    this.timer.unref();
  }

  private fire(dueMs: number): void {
    const now = this.clock.now();
    const atMs = this.options.aligned ? this.gridPoint(now, dueMs) : dueMs;
    this.scheduleAfter(atMs);
    if (this.running) {
      this.skipped += 1;
      return;
    }
    this.running = this.runOnce({ atMs, lateMs: Math.max(0, now - dueMs) }).finally(() => {
      this.running = undefined;
    });
  }

  /** The newest point that has passed; the one that was due when a timer fires a hair before it. */
  private gridPoint(now: number, dueMs: number): number {
    const earlyMs = dueMs - now;
    if (earlyMs > 0 && earlyMs < this.intervalMs / 2) return dueMs;
    return Math.floor(now / this.intervalMs) * this.intervalMs;
  }

  private scheduleAfter(atMs: number): void {
    const now = this.clock.now();
    let nextMs = this.options.aligned ? atMs + this.intervalMs : now + this.intervalMs;
    if (nextMs <= now) nextMs = now + this.intervalMs;
    this.timer = setTimeout(() => this.fire(nextMs), nextMs - now);
    this.timer.unref();
  }

  private async runOnce(tick: Tick): Promise<void> {
    try {
      await this.work(tick);
      this.noteSuccess();
    } catch (error) {
      this.noteFailure(error as Error);
    }
  }

  /** An outage of a minute is two lines in the log, not sixty stacks. */
  private noteFailure(error: Error): void {
    this.failures += 1;
    if (this.failures === 1) this.logger.error(`tick failed: ${error.message}`, error.stack);
  }

  private noteSuccess(): void {
    if (this.failures > 0) this.logger.log(`ticks succeed again, after ${this.failures} that failed`);
    this.failures = 0;
  }
}
