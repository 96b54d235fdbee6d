import { Injectable } from '@nestjs/common';
import { Database, Leases, type Lease, type Queryable } from '../../../core/index.js';

/** Rows per statement: short locks. Statements per table and run: what a minute's work may be. */
const BATCH_ROWS = 5_000;
const MAX_BATCHES = 10;
export const AUDIT_RETENTION_DAYS = 365;
/** Long enough to recognise a copied refresh token that comes late. */
const OVER_SESSION_DAYS = 1;
const LOGIN_ATTEMPT_MINUTES = 10;

/** Each removes at most `$1` rows that nobody needs any more. */
const REMOVALS: readonly string[] = [
  `DELETE FROM vigia.sessions WHERE id IN (
     SELECT id FROM vigia.sessions WHERE expires_at < clock_timestamp() - interval '${OVER_SESSION_DAYS} days' LIMIT $1)`,
  `DELETE FROM vigia.sessions WHERE id IN (
     SELECT id FROM vigia.sessions WHERE ended_at < clock_timestamp() - interval '${OVER_SESSION_DAYS} days' LIMIT $1)`,
  `DELETE FROM vigia.token_revocations WHERE key IN (
     SELECT key FROM vigia.token_revocations WHERE expires_at < clock_timestamp() LIMIT $1)`,
  `DELETE FROM vigia.login_attempts WHERE key IN (
     SELECT key FROM vigia.login_attempts WHERE updated_at < clock_timestamp() - interval '${LOGIN_ATTEMPT_MINUTES} minutes'
     LIMIT $1 FOR UPDATE SKIP LOCKED) AND updated_at < clock_timestamp() - interval '${LOGIN_ATTEMPT_MINUTES} minutes'`,
  `DELETE FROM vigia.audit_log WHERE id IN (
     SELECT id FROM vigia.audit_log WHERE at < clock_timestamp() - interval '${AUDIT_RETENTION_DAYS} days' ORDER BY at LIMIT $1)`,
  `DELETE FROM vigia.api_keys WHERE id IN (
     SELECT id FROM vigia.api_keys
     WHERE least(deleted_at, expires_at) < clock_timestamp() - interval '${AUDIT_RETENTION_DAYS} days' LIMIT $1)`,
  // An external user's row stays, without a name: its absence would let an old token make it anew.
  `UPDATE vigia.users SET email = NULL, name = 'deleted' WHERE id IN (
     SELECT id FROM vigia.users WHERE deleted_at < clock_timestamp() - interval '${AUDIT_RETENTION_DAYS} days'
       AND issuer IS NOT NULL AND name <> 'deleted' LIMIT $1)`,
  `DELETE FROM vigia.users WHERE id IN (
     SELECT id FROM vigia.users WHERE deleted_at < clock_timestamp() - interval '${AUDIT_RETENTION_DAYS} days'
       AND issuer IS NULL LIMIT $1)`,
];

/** Removes what has served its time. */
@Injectable()
export class RetentionStore {
  constructor(
    private readonly database: Database,
    private readonly leases: Leases,
  ) {}

  /** @throws LeaseLostError */
  async sweep(lease: Lease): Promise<void> {
    for (const removal of REMOVALS) await this.removeAll(lease, removal);
  }

  private async removeAll(lease: Lease, removal: string): Promise<void> {
    for (let batch = 0; batch < MAX_BATCHES; batch++) {
      const removed = await this.database.transaction(async (tx) => this.removeBatch(tx, lease, removal));
      if (removed < BATCH_ROWS) return;
    }
  }

  private async removeBatch(tx: Queryable, lease: Lease, removal: string): Promise<number> {
    await this.leases.assertHeld(tx, lease);
    await tx.execute(`SET LOCAL vigia.audit_retention = 'on'`);
    return tx.execute(removal, [BATCH_ROWS]);
  }
}
