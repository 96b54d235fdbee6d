import type { RouteMinute } from '../metrics.types.js';

/** A row of `request_minutes` or `request_hours` as node-postgres brings it. */
export interface RouteRow {
  method: string;
  route: string;
  requests: string;
  server_errors: string;
  client_errors: string;
  aborted: string;
  sum_ms: number;
  max_ms: number;
  sketch: Buffer;
}

const TYPES = ['text', 'text', 'bigint', 'bigint', 'bigint', 'bigint', 'float8', 'float8', 'bytea'];

/** What minutes and hours of routes have in common, for their statements. */
export const ROUTE_COLUMNS = {
  names: 'method, route, requests, server_errors, client_errors, aborted, sum_ms, max_ms, sketch',
  /** A table of the rows, whose columns are parameters from number `first` on. */
  unnest: (first: number) => `unnest(${TYPES.map((type, i) => `$${first + i}::${type}[]`).join(', ')})`,
} as const;

/** The rows as one array per column. */
export function routeParameters(rows: readonly RouteMinute[]): unknown[][] {
  return [
    rows.map((row) => row.method),
    rows.map((row) => row.route),
    rows.map((row) => row.requests),
    rows.map((row) => row.serverErrors),
    rows.map((row) => row.clientErrors),
    rows.map((row) => row.aborted),
    rows.map((row) => row.sumMs),
    rows.map((row) => row.maxMs),
    rows.map((row) => Buffer.from(row.sketch)),
  ];
}

export function toRouteMinute(row: RouteRow): RouteMinute {
  return {
    method: row.method,
    route: row.route,
    requests: Number(row.requests),
    serverErrors: Number(row.server_errors),
    clientErrors: Number(row.client_errors),
    aborted: Number(row.aborted),
    sumMs: row.sum_ms,
    maxMs: row.max_ms,
    sketch: row.sketch,
  };
}
