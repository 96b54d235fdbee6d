import { Logger } from '@nestjs/common';
import pg from 'pg';
import { z } from 'zod';
import type { Clock } from '../clock/clock.js';
import { Ticker } from '../clock/ticker.js';
import type { Database, Queryable } from '../database/database.js';

/** A topic of the control plane: what kind of row changed. */
export type BusTopic = string;

/** `id` is the row that changed; null says that messages may have been missed, so reread everything. */
export type BusListener = (id: string | null) => void | Promise<void>;

const CHANNEL = 'vigia_bus';
const POLL_INTERVAL_MS = 1_000;
const RECONNECT_MAX_MS = 5_000;
/** A server that accepts and says nothing must not hold the listener for ever. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A session that has gone silent is found by TCP keep-alive after about this long. */
const KEEP_ALIVE_DELAY_MS = 5_000;

const messageSchema = z.object({ topic: z.string(), version: z.number().int(), id: z.string() });
type Message = z.infer<typeof messageSchema>;

/**
 * Tells every instance that a row changed: PostgreSQL NOTIFY carries the topic, the topic's version
 * and an id, never values; each instance reads the row itself. A poll of the versions every second
 * repairs what was lost with a connection, and says so by an id of null.
 *
 * At least once, in order per topic while connected; the publisher hears its own messages too.
 */
export class InstanceBus {
  private readonly logger = new Logger(InstanceBus.name);
  private readonly listeners = new Map<BusTopic, Set<BusListener>>();
  private readonly seen = new Map<BusTopic, number>();
  private readonly ticker: Ticker;
  private client: pg.Client | undefined;
  private reconnectTimer: NodeJS.Timeout | undefined;
  private reconnectDelayMs = 100;
  private polledAtMs = -Infinity;
  private firstPoll = true;
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {
    this.ticker = new Ticker({ name: 'instance-bus', intervalMs: POLL_INTERVAL_MS }, clock, () =>
      this.poll(),
    );
  }

  async start(): Promise<void> {
    await this.poll();
    await this.listen();
    this.ticker.start();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.reconnectTimer);
    await this.ticker.stop();
    await this.endSession();
  }

  /** @returns a function that removes the listener */
  on(topic: BusTopic, listener: BusListener): () => void {
    const known = this.listeners.get(topic) ?? new Set();
    known.add(listener);
    this.listeners.set(topic, known);
    return () => known.delete(listener);
  }

  /** Announces a change, together with it: pass the transaction that makes the change. */
  async publish(tx: Queryable, topic: BusTopic, id: string): Promise<void> {
    await tx.query(
      `WITH bumped AS (
         INSERT INTO vigia.bus_versions AS v (topic, version) VALUES ($1, 1)
         ON CONFLICT (topic) DO UPDATE SET version = v.version + 1
         RETURNING topic, version)
       SELECT pg_notify('${CHANNEL}', json_build_object('topic', topic, 'version', version, 'id', $2::text)::text)
       FROM bumped`,
      [topic, id],
    );
  }

  /**
   * Whether this instance has compared versions within the last `maxAgeMs`. What is cached under the
   * promise that changes arrive within a second must not be trusted when it has not.
   */
  isFresh(maxAgeMs: number): boolean {
    return this.clock.monotonicMs() - this.polledAtMs <= maxAgeMs;
  }

  private async poll(): Promise<void> {
    const startedMs = this.clock.monotonicMs();
    const rows = await this.database.query<{ topic: string; version: string }>(
      'SELECT topic, version FROM vigia.bus_versions',
      [],
      { readOnly: true },
    );
    this.polledAtMs = startedMs;
    const { firstPoll } = this;
    this.firstPoll = false;
    for (const { topic, version } of rows) {
      const known = this.seen.get(topic) ?? 0;
      if (Number(version) <= known) continue;
      this.seen.set(topic, Number(version));
      if (!firstPoll) this.deliver(topic, null);
    }
  }

  private async listen(): Promise<void> {
    const client = new pg.Client({
      ...this.database.address.pg,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: CONNECT_TIMEOUT_MS,
      application_name: 'vigia-bus',
    });
    client.on('error', (error) => this.logger.warn(`bus connection lost: ${error.message}`));
    client.on('end', () => this.reconnectLater());
    client.on('notification', ({ payload }) => this.receive(payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      this.client = client;
      this.reconnectDelayMs = 100;
      if (this.stopped) await this.endSession(); // the stop came while we connected
    } catch (error) {
      this.logger.warn(`bus cannot listen: ${(error as Error).message}`);
      await client.end().catch((cause: Error) => this.logger.debug(cause.message));
      this.reconnectLater();
    }
  }

  private async endSession(): Promise<void> {
    await this.client?.end().catch((error: Error) => this.logger.debug(`bus connection: ${error.message}`));
  }

  private reconnectLater(): void {
    if (this.stopped) return;
    clearTimeout(this.reconnectTimer);
    this.reconnectTimer = setTimeout(() => void this.listen(), this.reconnectDelayMs);
    this.reconnectTimer.unref();
    this.reconnectDelayMs = Math.min(this.reconnectDelayMs * 2, RECONNECT_MAX_MS);
  }

  private receive(payload: string): void {
    const message = parse(payload);
    if (!message) {
      this.logger.warn('ignored a notification that is none of ours: any role may send on a channel');
      return;
    }
    const { topic, version, id } = message;
    const known = this.seen.get(topic) ?? 0;
    // Never ahead of the next version: a gap (or a forged number) is left to the poll to repair.
    if (version === known + 1) this.seen.set(topic, version);
    this.deliver(topic, version <= known + 1 ? id : null);
  }

  private deliver(topic: BusTopic, id: string | null): void {
    for (const listener of this.listeners.get(topic) ?? []) {
      Promise.resolve()
        .then(() => listener(id))
        .catch((error: Error) =>
          this.logger.error(`listener of ${topic} failed: ${error.message}`, error.stack),
        );
    }
  }
}

/** NOTIFY needs no privilege, so what arrives is checked like any other input. */
function parse(payload: string): Message | undefined {
  try {
    const result = messageSchema.safeParse(JSON.parse(payload));
    return result.success && result.data.version > 0 ? result.data : undefined;
  } catch {
    return undefined; // not JSON
  }
}
