import { z } from 'zod';
import { isoText, plainText } from '../../../../core/index.js';

export const PERFORMANCE_WINDOWS_MS = { '5m': 300_000, '1h': 3_600_000, '24h': 86_400_000 } as const;

export type PerformanceWindow = keyof typeof PERFORMANCE_WINDOWS_MS;

export const performanceQuery = z.strictObject({
  window: z.enum(['5m', '1h', '24h']).default('1h'),
  instance: plainText(256).optional(),
});

export type PerformanceQuery = z.infer<typeof performanceQuery>;

const route = z.object({
  method: z.string(),
  route: z.string(),
  requests: z.int(),
  requestsPerMinute: z.number(),
  /** Of answers of 500 and above. */
  errorPercent: z.number(),
  avgMs: z.number(),
  p50Ms: z.number(),
  p95Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number(),
});

export const performanceAnswer = z.object({
  window: z.enum(['5m', '1h', '24h']),
  from: isoText,
  to: isoText,
  items: z.array(route),
});

export type RoutePerformance = z.infer<typeof route>;
export type PerformanceAnswer = z.infer<typeof performanceAnswer>;
