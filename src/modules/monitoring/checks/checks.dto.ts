import { z } from 'zod';
import { isoText, pageOf, pageQuery, plainText, uuid } from '../../../core/index.js';
import { CHECK_KINDS } from './outside-check.types.js';
import { parseTarget, TargetInvalidError } from './target.js';

const DAY_MS = 86_400_000;

/** What a check is, without who it is. */
export const checkBody = z
  .strictObject({
    name: plainText(100),
    kind: z.enum(CHECK_KINDS),
    target: z.string().min(1).max(2048),
    intervalMs: z.int().min(1_000).max(DAY_MS).default(60_000),
    timeoutMs: z.int().min(100).max(5_000).default(5_000),
    degradedAboveMs: z.int().min(1).max(60_000).default(2_000),
    critical: z.boolean().default(false),
  })
  .superRefine(({ kind, target }, context) => {
    try {
      parseTarget(kind, target);
    } catch (error) {
      if (!(error instanceof TargetInvalidError)) throw error;
      context.addIssue({ code: 'custom', path: ['target'], message: error.message });
    }
  });
export type CheckBody = z.infer<typeof checkBody>;

export const checkParams = z.strictObject({ id: uuid });
export type CheckParams = z.infer<typeof checkParams>;

export const checksQuery = z.strictObject(pageQuery);
export type ChecksQuery = z.infer<typeof checksQuery>;

export const checkAnswer = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(CHECK_KINDS),
  target: z.string(),
  intervalMs: z.int(),
  timeoutMs: z.int(),
  degradedAboveMs: z.int(),
  critical: z.boolean(),
  createdAt: isoText,
  updatedAt: isoText,
});
export type CheckAnswer = z.infer<typeof checkAnswer>;
export const checksAnswer = pageOf(checkAnswer);
