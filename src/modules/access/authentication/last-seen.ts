import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Database, Shutdown, Ticker } from '../../../core/index.js';

const FLUSH_INTERVAL_MS = 10_000;
/** Beyond this many within one interval the rest is not noted: a label, nothing depends on it. */
export const MAX_NOTED = 10_000;

type Kind = 'user' | 'apiKey';
const TARGETS = {
  user: { table: 'vigia.users', column: 'last_seen_at' },
  apiKey: { table: 'vigia.api_keys', column: 'last_used_at' },
} as const;

/** When users and keys were last here: noted in memory by each request, written every ten seconds. */
@Injectable()
export class LastSeen implements OnApplicationBootstrap {
  private readonly noted: Record<Kind, Map<string, number>> = { user: new Map(), apiKey: new Map() };
  private readonly ticker: Ticker;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    shutdown: Shutdown,
  ) {
    this.ticker = new Ticker({ name: 'last-seen', intervalMs: FLUSH_INTERVAL_MS }, clock, () => this.flush());
    shutdown.register('flush', 'last seen', async () => {
      await this.ticker.stop();
      await this.flush();
    });
  }

  onApplicationBootstrap(): void {
    this.ticker.start();
  }

  note(kind: Kind, id: string): void {
    const noted = this.noted[kind];
    if (noted.size < MAX_NOTED || noted.has(id)) noted.set(id, this.clock.now());
  }

  async flush(): Promise<void> {
    await this.write('user');
    await this.write('apiKey');
  }

  /** What an outage keeps from being written is lost, and comes again with the next request. */
  private async write(kind: Kind): Promise<void> {
    const noted = this.noted[kind];
    if (noted.size === 0) return;
    this.noted[kind] = new Map();
    const { table, column } = TARGETS[kind];
    // A row that somebody is changing is skipped: this must never make anybody wait.
    await this.database.execute(
      `WITH seen AS (SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS s(id, at)),
            free AS (SELECT id FROM ${table} WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED)
       UPDATE ${table} t SET ${column} = greatest(t.${column}, seen.at)
       FROM seen JOIN free USING (id) WHERE t.id = seen.id`,
      [[...noted.keys()], [...noted.values()].map((atMs) => new Date(atMs))],
    );
  }
}
