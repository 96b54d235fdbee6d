import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { AuditLog, Clock, Shutdown, Ticker, type AuditEntry } from '../../../core/index.js';
import { clientOf } from '../login-attempts/client-address.js';
import { AuditStore, type NewAuditRow } from '../stores/audit.store.js';

const FLUSH_INTERVAL_MS = 1_000;
/**
 * Anybody can be refused as often as they like. So many noted entries are kept a minute; retention
 * removes 50,000 a minute, so no flood of refusals can fill the disk.
 */
export const MAX_NOTES_PER_MINUTE = 600;
/** Of those, from one address or one known caller: whoever makes noise must not hide what others do. */
export const MAX_NOTES_PER_CLIENT = 60;
const MINUTE_MS = 60_000;
/** Notes that wait for PostgreSQL to come back; and as many entries of actions that were done meanwhile. */
export const MAX_BUFFERED = 1_000;
/** A call whose work is done waits no longer for its entry; then it is kept and written later. */
const RECORD_TIMEOUT_MS = 1_500;

/** The audit log in PostgreSQL. */
@Injectable()
export class BufferedAuditLog extends AuditLog implements OnApplicationBootstrap {
  private readonly logger = new Logger(BufferedAuditLog.name);
  private buffer: NewAuditRow[] = [];
  /** Recorded actions that PostgreSQL could not take: apart, so that no flood of notes crowds them out. */
  private kept: NewAuditRow[] = [];
  private dropped = 0;
  private minuteStartedMs = -Infinity;
  /** Callers that are known and others have a budget each: strangers must not hide what users try. */
  private readonly budgets = { known: new NoteBudget(), unknown: new NoteBudget() };
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

  /** Never fails: what PostgreSQL does not take in time waits in memory for it. */
  override async record(entry: AuditEntry): Promise<void> {
    const row = { ...entry, id: uuidv7() };
    try {
      await this.store.insert([row], RECORD_TIMEOUT_MS);
    } catch (error) {
      this.logger.warn(`${entry.action} is written later: ${String(error)}`);
      this.keep([row]);
    }
  }

  override note(entry: AuditEntry): void {
    this.startMinuteIfDue();
    const isKnown = entry.actor !== null;
    const by = entry.actor ?? (entry.ip === null ? '' : clientOf(entry.ip));
    const budget = isKnown ? this.budgets.known : this.budgets.unknown;
    if (this.buffer.length < MAX_BUFFERED && budget.take(by)) this.buffer.push({ ...entry, id: uuidv7() });
    else this.dropped += 1;
  }

  async flush(): Promise<void> {
    const { buffer, kept, dropped } = this;
    if (buffer.length === 0 && kept.length === 0 && dropped === 0) return;
    this.buffer = [];
    this.kept = [];
    this.dropped = 0;
    const all = [...kept, ...buffer];
    try {
      await this.store.insert(dropped === 0 ? all : [...all, this.dropEntry(dropped)]);
    } catch (error) {
      this.takeBack(buffer, kept, dropped);
      throw error;
    }
  }

  private keep(rows: readonly NewAuditRow[]): void {
    const all = [...this.kept, ...rows];
    this.kept = all.slice(0, MAX_BUFFERED);
    this.dropped += Math.max(0, all.length - MAX_BUFFERED);
  }

  /** In the order in which things happened; what no longer fits counts as dropped. */
  private takeBack(buffer: NewAuditRow[], kept: NewAuditRow[], dropped: number): void {
    const since = this.kept;
    this.kept = [];
    this.keep([...kept, ...since]);
    const all = [...buffer, ...this.buffer];
    this.buffer = all.slice(0, MAX_BUFFERED);
    this.dropped += dropped + Math.max(0, all.length - MAX_BUFFERED);
  }

  private startMinuteIfDue(): void {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.minuteStartedMs < MINUTE_MS) return;
    this.minuteStartedMs = nowMs;
    this.budgets.known.refill();
    this.budgets.unknown.refill();
  }

  private dropEntry(dropped: number): NewAuditRow {
    return {
      id: uuidv7(),
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

/** How many entries may be noted until the next minute. */
class NoteBudget {
  private noted = 0;
  /** Holds no more names than a minute has notes. */
  private readonly notedBy = new Map<string, number>();

  take(by: string): boolean {
    const own = this.notedBy.get(by) ?? 0;
    if (this.noted >= MAX_NOTES_PER_MINUTE || own >= MAX_NOTES_PER_CLIENT) return false;
    this.noted += 1;
    this.notedBy.set(by, own + 1);
    return true;
  }

  refill(): void {
    this.noted = 0;
    this.notedBy.clear();
  }
}
