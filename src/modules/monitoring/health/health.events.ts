import type { ComponentStatus, OverallStatus } from './health.types.js';

/** A component changed, as one instance sees it. */
export interface ComponentChange {
  readonly name: string;
  readonly critical: boolean;
  readonly from: ComponentStatus;
  readonly to: ComponentStatus;
  readonly errorCode?: string;
}

/** The health of this instance changed: in one component, or as a whole (then `component` is null). */
export class HealthChanged {
  constructor(
    /** ISO-8601. */
    readonly at: string,
    /** Whose view this is. */
    readonly instance: string,
    readonly status: OverallStatus,
    readonly previousStatus: OverallStatus,
    readonly score: number,
    readonly component: ComponentChange | null,
  ) {}
}
