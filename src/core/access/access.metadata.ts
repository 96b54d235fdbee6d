export const ACCESS_POLICY = 'vigia:access-policy';
export const AUDITED = 'vigia:audited';

export type AuditKind = 'admin' | 'personalData' | 'function' | 'security';

export interface AuditRule {
  /** What was done, e.g. `user.create`. */
  readonly action: string;
  readonly kind: AuditKind;
  /** Route parameter that names the target, e.g. `id`. */
  readonly target?: string;
}
