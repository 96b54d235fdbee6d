import { z } from 'zod';

/**
 * Building blocks of request schemas. Nothing is coerced silently: JSON keeps its types, and query
 * text becomes a number, boolean or instant only when it is written exactly as one.
 */

/** An ISO-8601 instant with zone, e.g. `2026-11-20T10:00:00.000Z`. */
export const instant = z.iso
  .datetime({ offset: true, error: 'must be an ISO-8601 instant such as 2026-11-20T10:00:00.000Z' })
  .transform((text) => new Date(text))
  .refine((date) => !Number.isNaN(date.getTime()), 'must be an existing date');

/** A whole number written in digits, as query parameters bring it. */
export const queryInteger = (least: number, most: number) =>
  z
    .string()
    .regex(/^-?\d{1,15}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.number().int().min(least).max(most))
    .meta({ override: { type: 'integer', minimum: least, maximum: most, pattern: undefined } });

/** A comma-separated list, e.g. `a,b`. */
export const queryList = (most: number) =>
  z
    .string()
    .min(1)
    .transform((text) => text.split(','))
    .pipe(z.array(z.string().min(1)).min(1).max(most));

/** In lower case, as PostgreSQL writes it: an id is also a key of caches and a topic's text. */
export const uuid = z.uuid('must be a UUID').toLowerCase();

/** Short human text: no control characters, so that it cannot forge lines where it is shown. */
export const plainText = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}]*$/u, 'must not contain control characters');

/** `?limit=&cursor=` of every list. */
export const pageQuery = {
  limit: queryInteger(1, 1000)
    .default(100)
    .meta({ override: { default: 100 } }),
  cursor: z.string().min(1).max(512).optional(),
};

/** `?from=&to=` of a query over time; both optional, but in order. */
export const rangeQuery = { from: instant.optional(), to: instant.optional() };

export function inOrder(range: { from?: Date | undefined; to?: Date | undefined }): boolean {
  return !range.from || !range.to || range.from < range.to;
}

export const RANGE_FAULT = { path: ['from'], message: 'from must be before to' };

/** The answer of a list. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** An instant in an answer. */
export const isoText = z.string().meta({ format: 'date-time' });
