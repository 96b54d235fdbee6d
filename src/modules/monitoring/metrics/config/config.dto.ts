import { z } from 'zod';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Most that an interval may be: beyond an hour, an hour's roll-up would hold nothing. */
const intervalMs = z.int().min(SECOND_MS).max(HOUR_MS);
const retentionMs = (leastMs: number, mostDays: number) =>
  z
    .int()
    .min(leastMs)
    .max(mostDays * DAY_MS);

/** From `warning` on a value is worth a look, from `critical` on it hurts. */
const levels = (most: number) =>
  z
    .strictObject({ warning: z.number().min(0).max(most), critical: z.number().min(0).max(most) })
    .refine(({ warning, critical }) => warning < critical, {
      path: ['warning'],
      message: 'must be below critical',
    });

export const THRESHOLD_DEFAULTS = {
  cpuPercent: { warning: 60, critical: 80 },
  memoryPercent: { warning: 70, critical: 90 },
  diskPercent: { warning: 80, critical: 90 },
  eventLoopDelayMs: { warning: 100, critical: 500 },
  databaseLatencyMs: { warning: 500, critical: 1_000 },
  responseTimeMs: { warning: 2_000, critical: 5_000 },
  errorPercent: { warning: 5, critical: 10 },
  checkLatencyMs: { warning: 2_000, critical: 5_000 },
} as const;

export const RETENTION_DEFAULTS = {
  rawMs: 2 * DAY_MS,
  minuteMs: 30 * DAY_MS,
  hourMs: 731 * DAY_MS,
  latencyMinuteMs: 2 * DAY_MS,
  latencyHourMs: 731 * DAY_MS,
} as const;

const PERCENT = 100;
const LONGEST_LATENCY_MS = HOUR_MS;

const thresholds = z.strictObject({
  cpuPercent: levels(PERCENT).optional(),
  memoryPercent: levels(PERCENT).optional(),
  diskPercent: levels(PERCENT).optional(),
  eventLoopDelayMs: levels(LONGEST_LATENCY_MS).optional(),
  databaseLatencyMs: levels(LONGEST_LATENCY_MS).optional(),
  responseTimeMs: levels(LONGEST_LATENCY_MS).optional(),
  errorPercent: levels(PERCENT).optional(),
  checkLatencyMs: levels(LONGEST_LATENCY_MS).optional(),
});

// Least values keep a bucket's sources for as long as a late sample may still reopen the bucket.
const retention = z.strictObject({
  rawMs: retentionMs(3 * HOUR_MS, 31).optional(),
  minuteMs: retentionMs(6 * HOUR_MS, 400).optional(),
  hourMs: retentionMs(7 * DAY_MS, 3_660).optional(),
  latencyMinuteMs: retentionMs(26 * HOUR_MS, 31).optional(),
  latencyHourMs: retentionMs(7 * DAY_MS, 3_660).optional(),
});

/**
 * PUT replaces the whole document: what it leaves out returns to its default. With `version` it is
 * refused (409) when somebody else changed the document since that version was read.
 */
export const configBody = z.strictObject({
  collectIntervalMs: intervalMs.optional(),
  healthIntervalMs: intervalMs.optional(),
  retention: retention.optional(),
  thresholds: thresholds.optional(),
  version: z.int().min(0).optional(),
});

export type ConfigBody = z.infer<typeof configBody>;
/** What the row says; all the rest is default. */
export type ConfigDocument = Omit<ConfigBody, 'version'>;

const levelsAnswer = z.object({ warning: z.number(), critical: z.number() });

export const configAnswer = z.object({
  collectIntervalMs: z.int(),
  healthIntervalMs: z.int(),
  retention: z.object({
    rawMs: z.int(),
    minuteMs: z.int(),
    hourMs: z.int(),
    latencyMinuteMs: z.int(),
    latencyHourMs: z.int(),
  }),
  thresholds: z.object({
    cpuPercent: levelsAnswer,
    memoryPercent: levelsAnswer,
    diskPercent: levelsAnswer,
    eventLoopDelayMs: levelsAnswer,
    databaseLatencyMs: levelsAnswer,
    responseTimeMs: levelsAnswer,
    errorPercent: levelsAnswer,
    checkLatencyMs: levelsAnswer,
  }),
  /** 0 while nobody has changed anything. */
  version: z.int(),
});

/** The configuration in force. */
export type MonitoringSettings = z.infer<typeof configAnswer>;
