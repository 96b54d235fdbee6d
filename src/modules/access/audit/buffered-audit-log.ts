import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { AuditLog, Clock, Shutdown, Ticker, type AuditEntry } from '../../../core/index.js';
import { clientOf } from '../login-attempts/client-address.js';
import { AuditStore } from '../stores/audit.store.js';

const FLUSH_INTERVAL_MS = 1_000;
/**
 * Anybody can be refused as often as they like. So many noted entries are kept a minute; retention
 * removes 50,000 a minute, so no flood of refusals can fill the disk.
 */
export const MAX_NOTES_PER_MINUTE = 600;
/** Of those, from one address: whoever makes noise must not hide what others do. */
export const MAX_NOTES_PER_CLIENT = 60;
const MINUTE_MS = 60_000;
/** Entries that wait for PostgreSQL to come back. */
export const MAX_BUFFERED = 1_000;

/** The audit log in PostgreSQL. */
@Injectable()
export class BufferedAuditLog extends AuditLog implements OnApplicationBootstrap {
  private buffer: AuditEntry[] = [];
  private dropped = 0;
  private minuteStartedMs = -Infinity;
  private notedThisMinute = 0;
  private readonly notedByClient = new Map<string, number>();
  private readonly ticker: Ticker;

  constructor(
    private readonly store: AuditStore,
    private readonly clock: Clock,
    shutdown: Shutdown,
  ) {
    super();
    this.ticker = new Ticker({ name: 'audit', intervalMs: FLUSH_INTERVAL_MS }, clock, () => this.flush());
    shutdown.register('flush', 'audit log', async () => {
      await this.ticker.stop();
      await this.flush();
    });
  }

  onApplicationBootstrap(): void {
    this.ticker.start();
  }

  override record(entry: AuditEntry): Promise<void> {
    return this.store.insert([entry]);
  }

  override note(entry: AuditEntry): void {
    if (this.buffer.length < MAX_BUFFERED && this.isWithinBudget(entry.ip === null ? '' : clientOf(entry.ip)))
      this.buffer.push(entry);
    else this.dropped += 1;
  }

  async flush(): Promise<void> {
    const { buffer, dropped } = this;
    if (buffer.length === 0 && dropped === 0) return;
    this.buffer = [];
    this.dropped = 0;
    try {
      await this.store.insert(dropped === 0 ? buffer : [...buffer, this.dropEntry(dropped)]);
    } catch (error) {
      this.takeBack(buffer, dropped);
      throw error;
    }
  }

  /** In the order in which things happened; what no longer fits counts as dropped. */
  private takeBack(buffer: AuditEntry[], dropped: number): void {
    const all = [...buffer, ...this.buffer];
    this.buffer = all.slice(0, MAX_BUFFERED);
    this.dropped += dropped + Math.max(0, all.length - MAX_BUFFERED);
  }

  /** The map holds no more clients than a minute has notes. */
  private isWithinBudget(client: string): boolean {
    this.startMinuteIfDue();
    const byClient = this.notedByClient.get(client) ?? 0;
    if (this.notedThisMinute >= MAX_NOTES_PER_MINUTE || byClient >= MAX_NOTES_PER_CLIENT) return false;
    this.notedThisMinute += 1;
    this.notedByClient.set(client, byClient + 1);
    return true;
  }

  private startMinuteIfDue(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.minuteStartedMs < MINUTE_MS) return;
    this.minuteStartedMs = nowMs;
    this.notedThisMinute = 0;
    this.notedByClient.clear();
  }

  private dropEntry(dropped: number): AuditEntry {
    return {
      atMs: this.clock.now(),
      actor: null,
      action: 'audit.dropped',
      kind: 'security',
      target: `${dropped} entries`,
      ip: null,
      requestId: null,
      result: 'failed',
      code: null,
    };
  }
}
