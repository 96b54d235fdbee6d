import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Database, type Queryable } from '../../../core/index.js';

/** Sessions and single tokens of an external issuer that were signed out here before they expired. */
@Injectable()
export class TokenRevocationsStore {
  constructor(private readonly database: Database) {}

  /** @param untilMs when the tokens expire by themselves, epoch milliseconds */
  async add(tx: Queryable, key: string, untilMs: number): Promise<void> {
    await tx.execute(
      `INSERT INTO vigia.token_revocations AS r (key, expires_at) VALUES ($1, $2)
       ON CONFLICT (key) DO UPDATE SET expires_at = greatest(r.expires_at, excluded.expires_at)`,
      [key, new Date(untilMs)],
    );
  }

  async has(key: string): Promise<boolean> {
    const rows = await this.database.query('SELECT 1 FROM vigia.token_revocations WHERE key = $1', [key], {
      readOnly: true,
    });
    return rows.length > 0;
  }
}

/** Of fixed length, and free of what an issuer may write into its claims. */
export function revocationKey(issuer: string, kind: 'sid' | 'jti', value: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, kind, value]))
    .digest('hex');
}
