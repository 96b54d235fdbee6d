import type { AuditKind } from './access.metadata.js';

/** One line of the audit log: who did what, to what, when, from where, with what result. */
export interface AuditEntry {
  readonly atMs: number;
  /** `user:<id>`, `key:<id>`, `database:<role>` or null for an unknown caller. */
  readonly actor: string | null;
  readonly action: string;
  readonly kind: AuditKind;
  readonly target: string | null;
  readonly ip: string | null;
  readonly requestId: string | null;
  readonly result: 'ok' | 'refused' | 'failed';
  /** The stable error code of what was refused or failed. */
  readonly code: string | null;
}

/** Where audited calls are written. */
export abstract class AuditLog {
  /**
   * Writes the entry durably before the call is answered. What cannot be written now is kept and written
   * later: the action has happened, and its answer stands.
   */
  abstract record(entry: AuditEntry): Promise<void>;
  /** Takes an entry that anybody could cause in any number (a refused request): buffered, bounded, written soon. */
  abstract note(entry: AuditEntry): void;
}
