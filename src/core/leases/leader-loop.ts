import { Logger } from '@nestjs/common';
import type { Clock } from '../clock/clock.js';
import { Ticker, type Tick } from '../clock/ticker.js';
import type { Lease, Leases } from './leases.js';

export interface LeaderLoopOptions {
  /** Name of the lease and of the loop. */
  readonly name: string;
  /** Who we are among the instances. */
  readonly holder: string;
  /** Between two runs, in milliseconds; must be well below the lease's TTL of 15 s, or pass `ttlMs`. */
  readonly intervalMs: number;
  readonly ttlMs?: number;
  readonly aligned?: boolean;
}

/** Runs work every `intervalMs` on exactly one instance: whoever holds the lease at that tick. */
export class LeaderLoop {
  private readonly logger: Logger;
  private readonly ticker: Ticker;
  private lease: Lease | null = null;

  constructor(
    private readonly options: LeaderLoopOptions,
    private readonly leases: Leases,
    clock: Clock,
    private readonly work: (lease: Lease, tick: Tick) => Promise<void>,
  ) {
    this.logger = new Logger(`LeaderLoop:${options.name}`);
    const { name, intervalMs, aligned = false } = options;
    this.ticker = new Ticker({ name, intervalMs, aligned }, clock, (tick) => this.runIfLeader(tick));
  }

  get isLeader(): boolean {
    return this.lease !== null;
  }

  start(): void {
    this.ticker.start();
  }

  async stop(): Promise<void> {
    await this.ticker.stop();
    if (!this.lease) return;
    await this.leases
      .release(this.lease)
      .catch((error: Error) =>
        this.logger.warn(`lease not released, it expires by itself: ${error.message}`),
      );
    this.lease = null;
  }

  private async runIfLeader(tick: Tick): Promise<void> {
    const { name, holder, intervalMs, ttlMs = Math.max(15_000, intervalMs * 3) } = this.options;
    this.lease = null; // until it is acquired again: during an outage nobody may believe that it leads
    this.lease = await this.leases.acquire(name, holder, ttlMs);
    if (this.lease) await this.work(this.lease, tick);
  }
}
