import { z } from 'zod';
import {
  inOrder,
  instant,
  isoText,
  plainText,
  queryInteger,
  queryList,
  RANGE_FAULT,
} from '../../../../core/index.js';

export const MAX_NAMES = 20;
/** Label sets answered at once: more than there can be outside checks, of which 200 are allowed. */
export const MAX_SERIES = 400;
/** Points of one answer, about 20 MB of text: 400 series in 500 points each, or 100 in 2,000. */
export const MAX_POINTS = 200_000;

const metricName = z.string().max(128);

const range = {
  from: instant.optional(),
  to: instant.optional(),
  points: queryInteger(2, 2000).default(300),
  instance: plainText(256).optional(),
};

export const historyQuery = z
  .strictObject({ names: queryList(MAX_NAMES).pipe(z.array(metricName)), ...range })
  .refine(inOrder, RANGE_FAULT);

/** `label=mount:/data` picks one of several label sets; it may be given for one label. */
export const seriesQuery = z
  .strictObject({
    ...range,
    label: z
      .string()
      .regex(/^[a-z][a-z0-9_]*:[^\p{Cc}]{1,256}$/u, 'must be name:value')
      .optional(),
  })
  .refine(inOrder, RANGE_FAULT);

export const seriesParams = z.object({ name: metricName });

export type HistoryQuery = z.infer<typeof historyQuery>;
export type SeriesQuery = z.infer<typeof seriesQuery>;

const labels = z.record(z.string(), z.string());

const point = z.object({ at: isoText, min: z.number(), avg: z.number(), max: z.number(), count: z.int() });

const series = z.object({ name: z.string(), unit: z.string(), labels, points: z.array(point) });

const span = { from: isoText, to: isoText, stepMs: z.int() };

export const historyAnswer = z.object({ ...span, series: z.array(series) });

/** One series; `labelSets` names all that the metric has, this one among them. */
export const seriesAnswer = z.object({ ...span, ...series.shape, labelSets: z.array(labels) });

export const namesAnswer = z.object({
  items: z.array(
    z.object({
      name: z.string(),
      unit: z.string(),
      description: z.string(),
      kind: z.enum(['gauge', 'counter', 'distribution']),
    }),
  ),
});

export type HistoryAnswer = z.infer<typeof historyAnswer>;
export type SeriesAnswer = z.infer<typeof seriesAnswer>;
export type NamesAnswer = z.infer<typeof namesAnswer>;
