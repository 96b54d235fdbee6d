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

export type OutboxHandler = (message: OutboxMessage) => Promise<void>;

const RELAY_INTERVAL_MS = 1_000;
const BATCH = 20;
/** A relay that died leaves its messages to the others after this long; a handler must end well before. */
const CLAIM_MS = 60_000;
const MAX_ATTEMPTS = 10;
const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 300_000;

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

  constructor(
    private readonly database: Database,
    clock: Clock,
    shutdown: Shutdown,
  ) {
    this.ticker = new Ticker({ name: 'outbox', intervalMs: RELAY_INTERVAL_MS }, clock, () => this.relay());
    shutdown.register('flush', 'outbox', () => this.ticker.stop());
  }

  /** One handler per topic. The relay starts with the first. */
  handle(topic: string, handler: OutboxHandler): void {
    if (this.handlers.has(topic)) throw new Error(`outbox topic ${topic} has a handler already`);
    this.handlers.set(topic, handler);
    this.ticker.start();
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
      await this.handlers.get(topic)?.({ id, topic, key, payload, attempt: attempts });
      await this.database.execute(
        `UPDATE vigia.outbox SET state = 'sent', sent_at = clock_timestamp() WHERE id = $1`,
        [id],
      );
    } catch (error) {
      await this.failed(id, topic, attempts, error as Error);
    }
  }

  private async failed(id: string, topic: string, attempts: number, error: Error): Promise<void> {
    const dead = error instanceof OutboxRefusedError || attempts >= MAX_ATTEMPTS;
    this.logger.warn(
      `${topic} ${id}: attempt ${attempts} failed${dead ? ', given up' : ''}: ${error.message}`,
    );
    await this.database.execute(
      `UPDATE vigia.outbox SET state = $2, last_error = $3, next_attempt_at = clock_timestamp() + $4 * interval '1 millisecond'
       WHERE id = $1`,
      [id, dead ? 'dead' : 'pending', error.message.slice(0, 500), retryDelayMs(attempts, error)],
    );
  }
}

/** 1, 2, 4 … s up to five minutes, each with up to half taken off at random; Retry-After wins when it is longer. */
function retryDelayMs(attempts: number, error: Error): number {
  const backoff = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), MAX_RETRY_MS) * (0.5 + Math.random() / 2);
  return Math.round(error instanceof OutboxRetryLaterError ? Math.max(backoff, error.retryAfterMs) : backoff);
}
