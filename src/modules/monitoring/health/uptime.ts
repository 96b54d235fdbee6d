import type { ComponentStatus } from './health.types.js';

/** One stretch during which one watcher saw one status. Instants are epoch milliseconds. */
export interface StatusInterval {
  readonly component: string;
  /** Who watched; null for the one leader that watches outside targets. */
  readonly instance: string | null;
  readonly status: Exclude<ComponentStatus, 'unknown'>;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Uptime {
  readonly component: string;
  readonly upMs: number;
  readonly degradedMs: number;
  readonly downMs: number;
  /** Time in which nobody watched. */
  readonly unknownMs: number;
  /** `upMs` of the whole window, percent: neither degraded nor unknown counts as up. Null for an empty window. */
  readonly upPercent: number | null;
  /** Stretches of down that touch the window; one that was merely not watched for a while stays one. */
  readonly incidents: number;
  /** Mean time from down to the next up or degraded; null while none has ended. */
  readonly mttrMs: number | null;
}

interface Slice {
  readonly status: ComponentStatus;
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * What a component was during a window, from the intervals of all who watched it. The window begins
 * when the component was first seen at all: what did not exist was neither up nor down.
 * @param firstSeenMs when any watcher first saw the component
 */
export function uptimeOf(
  component: string,
  intervals: readonly StatusInterval[],
  window: { readonly fromMs: number; readonly toMs: number; readonly firstSeenMs: number },
): Uptime {
  const fromMs = Math.max(window.fromMs, window.firstSeenMs);
  const slices = slicesOf(intervals, fromMs, window.toMs);
  const total = { up: 0, degraded: 0, down: 0, unknown: 0 };
  for (const { status, startMs, endMs } of slices) total[status] += endMs - startMs;
  const lengthMs = Math.max(0, window.toMs - fromMs);
  return {
    component,
    upMs: total.up,
    degradedMs: total.degraded,
    downMs: total.down,
    unknownMs: total.unknown,
    upPercent: lengthMs === 0 ? null : (100 * total.up) / lengthMs,
    ...incidentsOf(slices),
  };
}

/** Cuts the window wherever any watcher changed its mind, and says what they saw together in each piece. */
function slicesOf(intervals: readonly StatusInterval[], fromMs: number, toMs: number): Slice[] {
  const inside = intervals.filter(
    ({ startMs, endMs }) => startMs < toMs && endMs > fromMs && startMs < endMs,
  );
  const edges = inside.flatMap((interval) => [
    { atMs: Math.max(interval.startMs, fromMs), interval, opens: true },
    { atMs: Math.min(interval.endMs, toMs), interval, opens: false },
  ]);
  edges.sort((a, b) => a.atMs - b.atMs);
  const open = new Set<StatusInterval>();
  const slices: Slice[] = [];
  let atMs = fromMs;
  const cutAt = (nextMs: number) => {
    if (nextMs > atMs) slices.push({ status: together(open), startMs: atMs, endMs: nextMs });
    atMs = Math.max(atMs, nextMs);
  };
  for (const edge of edges) {
    cutAt(edge.atMs);
    if (edge.opens) open.add(edge.interval);
    else open.delete(edge.interval);
  }
  cutAt(toMs);
  return slices;
}

/** Down when all who watch say so, degraded when they disagree or one says so, unknown when nobody watches. */
function together(open: ReadonlySet<StatusInterval>): ComponentStatus {
  if (open.size === 0) return 'unknown';
  const worstOf = worstPerInstance(open);
  if (worstOf.every((status) => status === 'down')) return 'down';
  return worstOf.every((status) => status === 'up') ? 'up' : 'degraded';
}

const BADNESS = { up: 0, degraded: 1, down: 2 } as const;

/** A clock set back makes two intervals of one watcher overlap; the worse one counts. */
function worstPerInstance(open: ReadonlySet<StatusInterval>): StatusInterval['status'][] {
  const worst = new Map<string | null, StatusInterval['status']>();
  for (const { instance, status } of open) {
    const known = worst.get(instance);
    if (known === undefined || BADNESS[status] > BADNESS[known]) worst.set(instance, status);
  }
  return [...worst.values()];
}

function incidentsOf(slices: readonly Slice[]): { incidents: number; mttrMs: number | null } {
  let incidents = 0;
  let downSinceMs: number | null = null;
  const recoveriesMs: number[] = [];
  for (const { status, startMs } of slices) {
    if (status === 'down' && downSinceMs === null) {
      incidents += 1;
      downSinceMs = startMs;
    } else if ((status === 'up' || status === 'degraded') && downSinceMs !== null) {
      recoveriesMs.push(startMs - downSinceMs);
      downSinceMs = null;
    }
  }
  const sumMs = recoveriesMs.reduce((sum, ms) => sum + ms, 0);
  return { incidents, mttrMs: recoveriesMs.length === 0 ? null : sumMs / recoveriesMs.length };
}
