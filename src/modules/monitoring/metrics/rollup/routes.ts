import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RouteMinute } from '../metrics.types.js';
import { LatencySketch } from './latency-sketch.js';

/** Rows kept per instance and hour, `__overflow__` and the sum of all besides. */
export const MAX_ROUTES = 100;

export interface RouteName {
  readonly method: string;
  readonly route: string;
}

/** The row that holds the sum of all routes; not a route of its own. */
export const ALL_ROUTES: RouteName = { method: '*', route: '__all__' };
export const OVERFLOW: RouteName = { method: '*', route: '__overflow__' };

/** One row for all of them: counts added, sketches added slot by slot. */
export function mergeRoutes(rows: readonly RouteMinute[], { method, route }: RouteName): RouteMinute {
  const [only] = rows;
  if (rows.length === 1 && only) return { ...only, method, route };
  const sketch = new LatencySketch();
  for (const row of rows) sketch.add(row.sketch);
  return {
    method,
    route,
    requests: sum(rows, (row) => row.requests),
    serverErrors: sum(rows, (row) => row.serverErrors),
    clientErrors: sum(rows, (row) => row.clientErrors),
    aborted: sum(rows, (row) => row.aborted),
    sumMs: sum(rows, (row) => row.sumMs),
    maxMs: rows.reduce((most, row) => Math.max(most, row.maxMs), 0),
    sketch: sketch.encode(),
  };
}

/** Rows of the same method and route become one. */
export function byRoute(rows: readonly RouteMinute[]): RouteMinute[][] {
  const groups = new Map<string, RouteMinute[]>();
  for (const row of rows) {
    const key = `${row.method} ${row.route}`;
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return [...groups.values()];
}

/**
 * The hour of one instance from its minutes: the busiest routes by name, the others as `__overflow__`.
 * 60 sketches of one route take about 0.7 ms, so the event loop gets its turn after each route.
 */
export async function hourOfRoutes(
  minutes: readonly RouteMinute[],
  mostRoutes = MAX_ROUTES,
): Promise<RouteMinute[]> {
  const named = byRoute(minutes.filter((row) => !isSpecial(row))).sort(
    (a, b) => requestsOf(b) - requestsOf(a),
  );
  const folded = [
    ...named.slice(mostRoutes).flat(),
    ...minutes.filter(({ route }) => route === OVERFLOW.route),
  ];
  const all = minutes.filter(({ route }) => route === ALL_ROUTES.route);
  const groups: [RouteName, readonly RouteMinute[]][] = named
    .slice(0, mostRoutes)
    .map((rows) => [rows[0] ?? OVERFLOW, rows]);
  const hour: RouteMinute[] = [];
  for (const [name, rows] of [...groups, [OVERFLOW, folded] as const, [ALL_ROUTES, all] as const]) {
    if (rows.length > 0) hour.push(mergeRoutes(rows, name));
    await nextTurn();
  }
  return hour;
}

function isSpecial({ route }: RouteMinute): boolean {
  return route === ALL_ROUTES.route || route === OVERFLOW.route;
}

function requestsOf(rows: readonly RouteMinute[]): number {
  return sum(rows, (row) => row.requests);
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
