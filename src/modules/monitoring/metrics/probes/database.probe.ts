import type { Clock, Database } from '../../../../core/index.js';
import type { Snapshot } from '../metrics.types.js';

/** Longer than the emergency threshold of database latency, shorter than the least useful interval. */
const DEADLINE_MS = 2_000;

/** PostgreSQL through the pool that the whole process uses, so that a wait for the pool shows as latency. */
export class DatabaseProbe {
  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  async sample(): Promise<Snapshot['database']> {
    if (!this.database.isConfigured) return null;
    const { activeQueries, slowQueries } = this.database;
    const pool = this.database.stats();
    const [latencyMs, connections] = await Promise.all([this.latency(), this.connections()]);
    return {
      connections,
      activeQueries,
      slowQueries,
      latencyMs,
      poolSize: pool.size,
      poolWaiting: pool.waiting,
    };
  }

  private async latency(): Promise<number | null> {
    const startedMs = this.clock.monotonicMs();
    try {
      await this.database.query('SELECT 1', [], { timeoutMs: DEADLINE_MS, readOnly: true });
      return this.clock.monotonicMs() - startedMs;
    } catch {
      return null; // away: health reports it, here the value is unknown
    }
  }

  private async connections(): Promise<number | null> {
    try {
      const sql =
        'SELECT numbackends::int AS connections FROM pg_stat_database WHERE datname = current_database()';
      const [row] = await this.database.query<{ connections: number }>(sql, [], {
        timeoutMs: DEADLINE_MS,
        readOnly: true,
      });
      return row?.connections ?? null;
    } catch {
      return null; // as above
    }
  }
}
