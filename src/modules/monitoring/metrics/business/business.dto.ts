import { z } from 'zod';
import { instant } from '../../../../core/index.js';

export const MAX_SAMPLES = 500;

const name = z
  .string()
  .max(100)
  .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$/, 'must be dotted lower snake case such as orders.open');

const labelName = z
  .string()
  .max(64)
  .regex(/^[a-z][a-z0-9_]*$/, 'must be lower snake case')
  .refine((label) => label !== 'instance', 'instance is reserved: a business gauge belongs to no instance');

const labelValue = z
  .string()
  .max(64)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters or half characters');

const labels = z
  .record(labelName, labelValue)
  .refine((all) => Object.keys(all).length <= 8, 'at most 8 labels');

/** One sample, checked by itself so that a bad one rejects itself alone. */
export const sample = z.strictObject({
  name,
  // Beyond this no sum of a day's samples stays finite in a roll-up.
  value: z.number().min(-1e30).max(1e30),
  at: instant.optional(),
  labels: labels.optional(),
});

/** The envelope is checked as a whole, its samples one by one afterwards. */
export const samplesBody = z.strictObject({
  samples: z
    .array(z.unknown())
    .min(1)
    .max(MAX_SAMPLES)
    .meta({
      override: {
        type: 'array',
        minItems: 1,
        maxItems: MAX_SAMPLES,
        items: z.toJSONSchema(sample, { io: 'input', unrepresentable: 'any' }),
      },
    }),
});

export type SamplesBody = z.infer<typeof samplesBody>;

export const samplesAnswer = z.object({
  accepted: z.int(),
  rejected: z.array(z.object({ index: z.int(), reason: z.string() })),
});

export type SamplesAnswer = z.infer<typeof samplesAnswer>;
