import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Clock } from '../../../core/index.js';
import { REFRESH_MS } from '../metrics/requests/active-users.js';
import { ACTIVE_USER_WINDOW_MS, RequestRecorder } from '../metrics/requests/request-recorder.js';
import { SnapshotSources } from '../metrics/snapshot-sources.js';
import { ActiveUsersStore } from './stores/active-users.store.js';

const PRUNE_INTERVAL_MS = 60_000;
const MAX_ID_LENGTH = 256;

/**
 * Counts users over all instances: at every collection each instance notes whom it saw since its last
 * one, at most 10,000 and in one statement, and counts everybody's.
 */
@Injectable()
export class SharedActiveUsers implements OnModuleInit {
  private notedMs = -Infinity;
  private prunedMs = -Infinity;

  constructor(
    private readonly store: ActiveUsersStore,
    private readonly recorder: RequestRecorder,
    private readonly sources: SnapshotSources,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.sources.register('activeUsers', () => this.read());
  }

  /** Rejects while PostgreSQL is away; whoever was seen meanwhile is noted afterwards. */
  async read(): Promise<number> {
    const now = this.clock.monotonicMs();
    const sinceNotedMs = Math.min(now - this.notedMs + REFRESH_MS, ACTIVE_USER_WINDOW_MS);
    const seen = this.recorder.activeUsers(sinceNotedMs);
    await this.store.note(seen.filter(({ id }) => id.length <= MAX_ID_LENGTH && !id.includes('\0')));
    this.notedMs = now;
    if (now - this.prunedMs >= PRUNE_INTERVAL_MS) {
      await this.store.prune(2 * ACTIVE_USER_WINDOW_MS);
      this.prunedMs = now;
    }
    return this.store.count(ACTIVE_USER_WINDOW_MS);
  }
}
