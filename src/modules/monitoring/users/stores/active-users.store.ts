import { Injectable } from '@nestjs/common';
import { Database } from '../../../../core/index.js';
import type { SeenUser } from '../../metrics/requests/active-users.js';

/** A row that is no older than this against the new time stays: a user calls many instances at once. */
const REFRESH = `interval '5 seconds'`;
const PRUNE_ROWS = 20_000;

@Injectable()
export class ActiveUsersStore {
  constructor(private readonly database: Database) {}

  /** Notes when these users were seen, by PostgreSQL's clock; an earlier time than the stored one is no news. */
  async note(users: readonly SeenUser[]): Promise<void> {
    if (users.length === 0) return;
    // In one order everywhere, or two instances that note the same users would wait for each other.
    const ordered = [...users].sort((a, b) => (a.id < b.id ? -1 : 1));
    await this.database.execute(
      `INSERT INTO vigia.active_users AS a (user_id, seen_at)
       SELECT id, clock_timestamp() - age_ms * interval '1 millisecond'
       FROM unnest($1::text[], $2::double precision[]) AS seen (id, age_ms)
       ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at
       WHERE a.seen_at < excluded.seen_at - ${REFRESH}`,
      [ordered.map(({ id }) => id), ordered.map(({ ageMs }) => ageMs)],
    );
  }

  /** Distinct users whom any instance saw in the last `windowMs`. */
  async count(windowMs: number): Promise<number> {
    const [row] = await this.database.query<{ users: number }>(
      `SELECT count(*)::int AS users FROM vigia.active_users
       WHERE seen_at > clock_timestamp() - $1 * interval '1 millisecond'`,
      [windowMs],
      { readOnly: true },
    );
    return row?.users ?? 0;
  }

  /** Every instance may do it at any time: what it removes depends on the rows' age alone. @returns rows removed */
  prune(olderThanMs: number): Promise<number> {
    return this.database.execute(
      `DELETE FROM vigia.active_users WHERE user_id IN (
         SELECT user_id FROM vigia.active_users WHERE seen_at < clock_timestamp() - $1 * interval '1 millisecond'
         LIMIT ${PRUNE_ROWS} FOR UPDATE SKIP LOCKED)`,
      [olderThanMs],
    );
  }
}
