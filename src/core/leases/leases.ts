import { Injectable } from '@nestjs/common';
import { VigiaError } from '../errors/errors.js';
import { Database, type Queryable } from '../database/database.js';

/** The right to be the only one doing something, until it expires. */
export interface Lease {
  readonly name: string;
  /** Grows with every change of holder: a write that shows an old token is refused. */
  readonly token: number;
}

export class LeaseLostError extends VigiaError {
  constructor(name: string) {
    super(503, 'LEASE_LOST', `the lease ${name} has passed to another instance`);
  }
}

const DEFAULT_TTL_MS = 15_000;

/**
 * Leases as rows, judged by PostgreSQL's clock alone. A holder that was suspended and wakes up after
 * its lease passed on is stopped by the fencing token, which `assertHeld` checks in the same
 * transaction as the write.
 */
@Injectable()
export class Leases {
  constructor(private readonly database: Database) {}

  /**
   * Takes the lease if it is free or expired, or renews it if `holder` has it already. One atomic step.
   * @returns null while another holder has it
   */
  async acquire(name: string, holder: string, ttlMs = DEFAULT_TTL_MS): Promise<Lease | null> {
    const rows = await this.database.query<{ token: string }>(
      `INSERT INTO vigia.leases AS l (name, holder, token, expires_at)
       VALUES ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
       ON CONFLICT (name) DO UPDATE SET
         holder = excluded.holder,
         token = l.token + (l.holder <> excluded.holder OR l.expires_at <= clock_timestamp())::int,
         expires_at = excluded.expires_at
       WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
       RETURNING token`,
      [name, holder, ttlMs],
    );
    return rows[0] ? { name, token: Number(rows[0].token) } : null;
  }

  /** Lets the next holder in at once. Does nothing if the lease has passed on. */
  async release({ name, token }: Lease): Promise<void> {
    await this.database.execute(
      'UPDATE vigia.leases SET expires_at = clock_timestamp() WHERE name = $1 AND token = $2',
      [name, token],
    );
  }

  /**
   * Call first in the transaction of every write that the lease protects: it locks the lease row
   * against a change of holder until the commit.
   * @throws LeaseLostError when the lease has expired or passed on
   */
  async assertHeld(tx: Queryable, { name, token }: Lease): Promise<void> {
    const rows = await tx.query(
      'SELECT 1 FROM vigia.leases WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp() FOR SHARE',
      [name, token],
    );
    if (rows.length === 0) throw new LeaseLostError(name);
  }
}
