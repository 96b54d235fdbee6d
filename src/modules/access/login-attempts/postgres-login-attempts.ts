import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Database, type Queryable } from '../../../core/index.js';
import { judge, MAX_FAILURES, type AttemptLog, type Judgement } from './attempt-log.js';
import { clientOf } from './client-address.js';
import {
  LoginAttempts,
  type Attempt,
  type AttemptTicket,
  type AttemptVerdict,
} from './login-attempts.port.js';

interface LogRow {
  readonly failed_at: string[];
  readonly pending_at: string[];
  readonly now_ms: string;
}

/** The password was looked at; its answer shall not wait long for the books. */
const SETTLE_TIMEOUT_MS = 1_000;

type Admitted = Extract<Judgement, { outcome: 'admitted' }>;

/**
 * One row per client and per account, locked while it is judged: always the client's first, so that
 * two attempts cannot wait for each other. Times are PostgreSQL's, so instances need no common clock.
 */
@Injectable()
export class PostgresLoginAttempts extends LoginAttempts {
  constructor(private readonly database: Database) {
    super();
  }

  override begin({ ip, account }: Attempt): Promise<AttemptVerdict> {
    const address = `address:${clientOf(ip)}`;
    return this.database.transaction(async (tx) => {
      const byAddress = await this.judge(tx, address, MAX_FAILURES.address);
      // A refused client makes no row of its invented account.
      if (byAddress.outcome !== 'admitted') return byAddress;
      const byAccount = await this.judge(tx, accountKey(account), MAX_FAILURES.account);
      if (byAccount.outcome !== 'admitted') return byAccount;
      const ticket = [
        await this.write(tx, address, byAddress),
        await this.write(tx, accountKey(account), byAccount),
      ];
      return { outcome: 'admitted', ticket };
    });
  }

  override async settle(ticket: AttemptTicket, failed: boolean): Promise<void> {
    const settleAll = async (tx: Queryable): Promise<void> => {
      for (const { key, atMs } of ticket) {
        await tx.execute(
          `UPDATE vigia.login_attempts SET
             pending_at = array_remove(pending_at, $2::bigint),
             failed_at = CASE WHEN $3 THEN array_append(failed_at, $2::bigint) ELSE failed_at END,
             updated_at = clock_timestamp()
           WHERE key = $1 AND $2::bigint = ANY (pending_at)`,
          [key, atMs, failed],
        );
      }
    };
    await this.database.transaction(settleAll, { timeoutMs: SETTLE_TIMEOUT_MS });
  }

  private async judge(tx: Queryable, key: string, maxFailures: number): Promise<Judgement> {
    const rows = await tx.query<LogRow>(
      `INSERT INTO vigia.login_attempts (key) VALUES ($1)
       ON CONFLICT (key) DO UPDATE SET updated_at = clock_timestamp()
       RETURNING failed_at, pending_at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms`,
      [key],
    );
    const row = rows[0]!;
    return judge(toLog(row), Number(row.now_ms), maxFailures);
  }

  private async write(tx: Queryable, key: string, { atMs, log }: Admitted): Promise<AttemptTicket[number]> {
    await tx.execute('UPDATE vigia.login_attempts SET failed_at = $2, pending_at = $3 WHERE key = $1', [
      key,
      log.failedAtMs,
      log.pendingAtMs,
    ]);
    return { key, atMs };
  }
}

function toLog({ failed_at: failed, pending_at: pending }: LogRow): AttemptLog {
  return { failedAtMs: failed.map(Number), pendingAtMs: pending.map(Number) };
}

/** Of fixed length, and no list of addresses that somebody tried. */
function accountKey(account: string): string {
  return `account:${createHash('sha256').update(account).digest('hex')}`;
}
