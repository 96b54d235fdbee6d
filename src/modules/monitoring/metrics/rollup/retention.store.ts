import { Injectable } from '@nestjs/common';
import { Database, Leases, type Lease } from '../../../../core/index.js';
import type { RollupKind } from './rollup.store.js';

/** A table whose rows are removed by age, and the roll-ups that are still to be made from them. */
export interface AgedTable {
  readonly table: string;
  readonly column: string;
  readonly feeds?: RollupKind;
}

/** Rows that are due for a roll-up are spared this much longer, and not for ever: a disk must not fill. */
const GRACE_MS = 24 * 3_600_000;

@Injectable()
export class RetentionStore {
  constructor(
    private readonly database: Database,
    private readonly leases: Leases,
  ) {}

  /**
   * Removes at most `limit` rows older than `cutoffMs`.
   * @returns how many were removed
   * @throws LeaseLostError when another instance has taken over
   */
  async removeOld(
    { table, column, feeds }: AgedTable,
    cutoffMs: number,
    limit: number,
    lease: Lease,
  ): Promise<number> {
    return this.database.transaction(async (tx) => {
      await this.leases.assertHeld(tx, lease);
      return tx.execute(
        `DELETE FROM vigia.${table} WHERE ctid = ANY(ARRAY(
           SELECT ctid FROM vigia.${table}
           WHERE ${column} < least($1::timestamptz, greatest($2::timestamptz, coalesce((
             SELECT min(bucket) FROM vigia.metric_rollup_queue WHERE kind = $3), 'infinity')))
           LIMIT $4))`,
        [new Date(cutoffMs), new Date(cutoffMs - GRACE_MS), feeds ?? null, limit],
      );
    });
  }
}
