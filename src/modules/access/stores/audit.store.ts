import { Injectable } from '@nestjs/common';
import { Database, type AuditEntry, type AuditKind } from '../../../core/index.js';

export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly kind?: AuditKind | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

export interface AuditRow {
  readonly id: string;
  readonly at: Date;
  readonly actor: string | null;
  readonly action: string;
  readonly kind: AuditKind;
  readonly target: string | null;
  readonly ip: string | null;
  readonly request_id: string | null;
  readonly result: 'ok' | 'refused' | 'failed';
  readonly code: string | null;
}

/** An entry with the id that it will have. */
export interface NewAuditRow extends AuditEntry {
  readonly id: string;
}

@Injectable()
export class AuditStore {
  constructor(private readonly database: Database) {}

  /** Takes a row that is there already for the same one: whoever got no answer may write it again. */
  async insert(rows: readonly NewAuditRow[], timeoutMs?: number): Promise<void> {
    await this.database.execute(
      `INSERT INTO vigia.audit_log (id, at, actor, action, kind, target, ip, request_id, result, code)
       SELECT * FROM jsonb_to_recordset($1::jsonb) AS e(
         id uuid, at timestamptz, actor text, action text, kind text, target text, ip text, "requestId" text, result text, code text)
       ON CONFLICT (id) DO NOTHING`,
      [JSON.stringify(rows.map(toRecord))],
      timeoutMs === undefined ? {} : { timeoutMs },
    );
  }

  /** Newest first, `limit + 1` rows. */
  async list(
    filter: AuditFilter,
    limit: number,
    before: { at: string; id: string } | null,
  ): Promise<AuditRow[]> {
    return this.database.query<AuditRow>(
      `SELECT id, at, actor, action, kind, target, ip, request_id, result, code FROM vigia.audit_log
       WHERE ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR action = $3) AND ($4::text IS NULL OR target = $4)
         AND ($5::text IS NULL OR kind = $5) AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
         AND ($8::timestamptz IS NULL OR (at, id) < ($8, $9::uuid))
       ORDER BY at DESC, id DESC LIMIT $1`,
      [
        limit + 1,
        filter.actor,
        filter.action,
        filter.target,
        filter.kind,
        filter.from,
        filter.to,
        before?.at,
        before?.id,
      ],
      { readOnly: true },
    );
  }
}

function toRecord(entry: NewAuditRow) {
  return {
    id: entry.id,
    at: new Date(entry.atMs).toISOString(),
    actor: fitting(entry.actor, 128),
    action: fitting(entry.action, 128),
    kind: entry.kind,
    target: fitting(entry.target, 256),
    ip: fitting(entry.ip, 64),
    requestId: fitting(entry.requestId, 128),
    result: entry.result,
    code: fitting(entry.code, 64),
  };
}

/** A target is whatever stood in the URL: PostgreSQL takes no NUL, and a log line must not be forged. */
function fitting(text: string | null, mostCharacters: number): string | null {
  return text && [...text.replace(/\p{Cc}|\p{Cs}/gu, '\uFFFD')].slice(0, mostCharacters).join('');
}
