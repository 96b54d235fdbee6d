import type { ComponentStatus, OverallStatus } from './health.types.js';

export interface ScoredComponent {
  readonly name: string;
  readonly status: ComponentStatus;
  readonly critical: boolean;
}

export interface Deduction {
  readonly reason: string;
  readonly points: number;
}

export interface Score {
  readonly status: OverallStatus;
  /** 100 minus the points of all deductions, 0–100. */
  readonly score: number;
  readonly deductions: readonly Deduction[];
}

/** Without it nothing of ours works, so its state alone decides whether we are down. */
const VITAL = 'database';

const POINTS = {
  critical: { up: 0, degraded: 15, unknown: 25, down: 60 },
  optional: { up: 0, degraded: 5, unknown: 8, down: 15 },
} as const;

/** Optional parts together take at most so much: two hundred dead outside targets are not our own death. */
const MOST_OPTIONAL_POINTS = 40;
/** However well the rest is. */
const CAPS = { down: 10, critical: 40 } as const;

/**
 * Health as one number with its reasons. Order of badness per component: up, degraded, unknown, down.
 * Monotone: no component that gets worse ever raises the score or improves the status.
 */
export function scoreOf(components: readonly ScoredComponent[]): Score {
  const status = statusOf(components);
  const deductions: Deduction[] = [];
  let left = 100;
  let optionalLeft = MOST_OPTIONAL_POINTS;
  const deduct = (reason: string, wanted: number, most = left) => {
    const points = Math.min(wanted, most, left);
    if (points <= 0) return 0;
    deductions.push({ reason, points });
    left -= points;
    return points;
  };
  for (const part of [...components].sort(worstFirst)) {
    const reason = `${part.name} is ${part.status}`;
    if (part.critical) deduct(reason, POINTS.critical[part.status]);
    else optionalLeft -= deduct(reason, POINTS.optional[part.status], optionalLeft);
  }
  const cap = status === 'down' || status === 'critical' ? CAPS[status] : 100;
  deduct(`capped at ${cap} while the status is ${status}`, left - cap);
  return { status, score: left, deductions };
}

function statusOf(components: readonly ScoredComponent[]): OverallStatus {
  const vital = components.find(({ name }) => name === VITAL);
  if (vital?.status === 'down') return 'down';
  if (vital?.status === 'unknown') return 'critical';
  if (components.some(({ critical, status }) => critical && status === 'down')) return 'critical';
  return components.some(({ status }) => status !== 'up') ? 'warning' : 'healthy';
}

function worstFirst(a: ScoredComponent, b: ScoredComponent): number {
  return pointsOf(b) - pointsOf(a) || (a.name < b.name ? -1 : 1);
}

function pointsOf({ critical, status }: ScoredComponent): number {
  return POINTS[critical ? 'critical' : 'optional'][status];
}
