import { Injectable, Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Clock } from '../clock/clock.js';
import { Ticker } from '../clock/ticker.js';
import { Database, type Queryable } from '../database/database.js';
import { Shutdown } from '../lifecycle/shutdown.js';

/** A message as its handler sees it. It may arrive twice: `key` tells. */
export interface OutboxMessage {
  readonly id: string;
  readonly topic: string;
  /** Unique per topic; the same key is never stored twice. */
  readonly key: string;
  readonly payload: unknown;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
}

/** What a handler may answer: nothing (sent), or that it must not be tried again. */
export class OutboxRefusedError extends Error {}

/** What a handler may throw to say when to try again, e.g. from Retry-After. */
export class OutboxRetryLaterError extends Error {
  constructor(
    message: string,
    readonly retryAfterMs: number,
  ) {
    super(message);
  }
}

/** @param signal aborted when the attempt has taken too long; its result then counts no more */
export type OutboxHandler = (message: OutboxMessage, signal: AbortSignal) => Promise<void>;

const RELAY_INTERVAL_MS = 1_000;
const BATCH = 20;
/** A relay that died leaves its messages to the others after this long; a handler must end well before. */
const CLAIM_MS = 60_000;
const MAX_ATTEMPTS = 10;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;
/** An attempt that hangs must not hold the others: well below the claim, so that it is over when that ends. */
const ATTEMPT_TIMEOUT_MS = 30_000;
/** A receiver may ask for at most so long a pause. */
const MAX_RETRY_AFTER_MS = 6 * 3_600_000;
/** Keys are unique for so long; then what was sent, or given up, is forgotten. */
const KEEP_SENT_MS = 7 * 86_400_000;
const KEEP_DEAD_MS = 30 * 86_400_000;
const FORGET_INTERVAL_MS = 60_000;
const FORGET_BATCH = 1_000;

interface OutboxRow {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly payload: unknown;
  readonly attempts: number;
}

/**
 * Messages that leave if and only if the transaction which appended them commits. Delivered at least
 * once, retried with growing pauses, and set aside as `dead` with the reason after ten attempts or a
 * final refusal. Any number of instances relay side by side.
 */
@Injectable()
export class Outbox {
  private readonly logger = new Logger(Outbox.name);
  private readonly handlers = new Map<string, OutboxHandler>();
  private readonly ticker: Ticker;
  private readonly forgetter: Ticker;

  constructor(
    private readonly database: Database,
    clock: Clock,
    shutdown: Shutdown,
  ) {
    this.ticker = new Ticker({ name: 'outbox', intervalMs: RELAY_INTERVAL_MS }, clock, () => this.relay());
    const forgetting = { name: 'outbox-retention', intervalMs: FORGET_INTERVAL_MS };
    this.forgetter = new Ticker(forgetting, clock, () => this.forgetOld());
    shutdown.register('flush', 'outbox', () =>
      Promise.all([this.ticker.stop(), this.forgetter.stop()]).then(() => undefined),
    );
  }

  /** One handler per topic. The relay starts with the first. */
  handle(topic: string, handler: OutboxHandler): void {
    if (this.handlers.has(topic)) throw new Error(`outbox topic ${topic} has a handler already`);
    this.handlers.set(topic, handler);
    this.ticker.start();
    this.forgetter.start();
  }

  /** Stores a message with the caller's transaction. @returns false when the key was stored before */
  async append(tx: Queryable, topic: string, key: string, payload: object): Promise<boolean> {
    const stored = await tx.execute(
      `INSERT INTO vigia.outbox (id, topic, key, payload) VALUES ($1, $2, $3, $4)
       ON CONFLICT (topic, key) DO NOTHING`,
      [uuidv7(), topic, key, JSON.stringify(payload)],
    );
    return stored === 1;
  }

  /** Delivers what is due; repeats while batches come back full. */
  async relay(): Promise<void> {
    for (;;) {
      const batch = await this.claim();
      await Promise.all(batch.map((row) => this.deliver(row)));
      if (batch.length < BATCH) return;
    }
  }

  private claim(): Promise<OutboxRow[]> {
    return this.database.query<OutboxRow>(
      `UPDATE vigia.outbox SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + $2 * interval '1 millisecond'
       WHERE id IN (
         SELECT id FROM vigia.outbox
         WHERE state = 'pending' AND next_attempt_at <= clock_timestamp() AND topic = ANY($1)
         ORDER BY next_attempt_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)
       RETURNING id, topic, key, payload, attempts`,
      [[...this.handlers.keys()], CLAIM_MS],
    );
  }

  private async deliver({ id, topic, key, payload, attempts }: OutboxRow): Promise<void> {
    try {
      const signal = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
      const message = { id, topic, key, payload, attempt: attempts };
      await Promise.race([this.handlers.get(topic)?.(message, signal), timedOut(signal)]);
      await this.settle(id, attempts, `state = 'sent', sent_at = clock_timestamp()`, []);
    } catch (error) {
      await this.failed(id, topic, attempts, error as Error);
    }
  }

  private async failed(id: string, topic: string, attempts: number, error: Error): Promise<void> {
    const dead = error instanceof OutboxRefusedError || attempts >= MAX_ATTEMPTS;
    this.logger.warn(
      `${topic} ${id}: attempt ${attempts} failed${dead ? ', given up' : ''}: ${error.message}`,
    );
    await this.settle(
      id,
      attempts,
      `state = $3, last_error = $4, next_attempt_at = clock_timestamp() + $5 * interval '1 millisecond'`,
      [dead ? 'dead' : 'pending', error.message.slice(0, 500), retryDelayMs(attempts, error)],
    );
  }

  /** Only the attempt that holds the claim may write its outcome: a late one must not undo a newer one. */
  private async settle(id: string, attempts: number, set: string, values: readonly unknown[]): Promise<void> {
    await this.database.execute(
      `UPDATE vigia.outbox SET ${set} WHERE id = $1 AND attempts = $2 AND state = 'pending'`,
      [id, attempts, ...values],
    );
  }

  private async forgetOld(): Promise<void> {
    await this.database.execute(
      `DELETE FROM vigia.outbox WHERE id IN (
         SELECT id FROM vigia.outbox
         WHERE (state = 'sent' AND sent_at < clock_timestamp() - $1 * interval '1 millisecond')
            OR (state = 'dead' AND next_attempt_at < clock_timestamp() - $2 * interval '1 millisecond')
         LIMIT ${FORGET_BATCH} FOR UPDATE SKIP LOCKED)`,
      [KEEP_SENT_MS, KEEP_DEAD_MS],
    );
  }
}

function timedOut(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`no end after ${ATTEMPT_TIMEOUT_MS} ms`)), {
      once: true,
    });
  });
}

/** 1, 2, 4 … s up to five minutes, each with up to half taken off at random; Retry-After wins when it is longer. */
function retryDelayMs(attempts: number, error: Error): number {
  const backoff = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), MAX_RETRY_MS) * (0.5 + Math.random() / 2);
  return Math.round(
    error instanceof OutboxRetryLaterError
      ? Math.max(backoff, Math.min(error.retryAfterMs, MAX_RETRY_AFTER_MS))
      : backoff,
  );
}
