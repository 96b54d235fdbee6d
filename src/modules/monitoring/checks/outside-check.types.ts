export const CHECK_KINDS = ['http', 'tcp', 'postgres', 'redis', 's3'] as const;
export type CheckKind = (typeof CHECK_KINDS)[number];

/** Something outside of ours that is watched. */
export interface OutsideCheck {
  readonly id: string;
  readonly name: string;
  readonly kind: CheckKind;
  readonly target: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly degradedAboveMs: number;
  readonly critical: boolean;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** More than this many are refused; each runs at most once at a time, so this also bounds the connections. */
export const MAX_OUTSIDE_CHECKS = 200;

/** The component that a check is shown as. */
export const componentOf = (name: string): string => `check:${name}`;
