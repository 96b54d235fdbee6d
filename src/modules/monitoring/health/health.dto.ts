import { z } from 'zod';
import { inOrder, isoText, plainText, RANGE_FAULT, rangeQuery } from '../../../core/index.js';
import { snapshotAnswer } from '../metrics/metrics.dto.js';

export const healthAnswer = z.object({
  status: z.enum(['healthy', 'warning', 'critical', 'down']),
  score: z.number().min(0).max(100),
  timestamp: isoText,
  uptimeSeconds: z.number(),
  version: z.string(),
});
export type HealthAnswer = z.infer<typeof healthAnswer>;

export const probeAnswer = z.object({ status: z.enum(['up', 'down']) });
export type ProbeAnswer = z.infer<typeof probeAnswer>;

export const componentAnswer = z.object({
  name: z.string(),
  status: z.enum(['up', 'degraded', 'down', 'unknown']),
  critical: z.boolean(),
  latencyMs: z.number().nullable(),
  checkedAt: isoText.nullable(),
  ageMs: z.number().nullable(),
  stale: z.boolean(),
  since: isoText.nullable(),
  consecutiveFailures: z.int(),
  errorCode: z.string().optional(),
  uptime24hPercent: z.number().nullable(),
});
export type ComponentAnswer = z.infer<typeof componentAnswer>;

export const detailedAnswer = healthAnswer.extend({
  components: z.array(componentAnswer),
  checks: z.record(z.string(), componentAnswer).describe('the same components, keyed by name'),
  deductions: z.array(z.object({ reason: z.string(), points: z.number() })),
  metrics: snapshotAnswer.nullable(),
  activeAlerts: z.null().describe('null until alerts are there'),
  instance: z.string(),
});
export type DetailedAnswer = Omit<z.infer<typeof detailedAnswer>, 'metrics'> & {
  readonly metrics: object | null;
};

export const uptimeQuery = z
  .strictObject({ component: plainText(128).optional(), ...rangeQuery })
  .refine(inOrder, RANGE_FAULT);
export type UptimeQuery = z.infer<typeof uptimeQuery>;

export const uptimeAnswer = z.object({
  items: z.array(
    z.object({
      component: z.string(),
      upMs: z.number(),
      degradedMs: z.number(),
      downMs: z.number(),
      unknownMs: z.number(),
      upPercent: z
        .number()
        .nullable()
        .describe(
          'upMs of the window since the component was first seen; degraded and unknown do not count as up',
        ),
      incidents: z.int(),
      mttrMs: z.number().nullable(),
    }),
  ),
});
export type UptimeAnswer = z.infer<typeof uptimeAnswer>;

export const indexAnswer = z.object({
  items: z.array(z.object({ method: z.string(), path: z.string(), description: z.string() })),
});
export type IndexAnswer = z.infer<typeof indexAnswer>;

export const summaryQuery = z.strictObject({
  type: z.enum(['basic', 'detailed', 'metrics', 'alerts', 'cache']).default('basic'),
});
export type SummaryQuery = z.infer<typeof summaryQuery>;

export const dashboardAnswer = z.object({
  health: detailedAnswer,
  metrics: snapshotAnswer.nullable(),
  routes: z.array(z.object({}).loose()).describe('as `/monitoring/performance?window=5m`, the first ten'),
  instances: z.array(z.object({ id: z.string(), lastSeenAt: isoText })),
  uptime: uptimeAnswer.shape.items.describe('of the last 24 hours'),
  checks: z.int().describe('outside targets that are watched'),
});
