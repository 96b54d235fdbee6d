import { z } from 'zod';

const MIN_CHARACTERS = 12;
/** Far above any passphrase, far below what would make hashing slow. */
export const MAX_PASSWORD_BYTES = 1_024;

/** A password that is being set. */
export const newPassword = z
  .string()
  .min(MIN_CHARACTERS, `must have at least ${MIN_CHARACTERS} characters`)
  .refine((text) => [...text].length >= MIN_CHARACTERS, `must have at least ${MIN_CHARACTERS} characters`)
  .refine(
    (text) => Buffer.byteLength(text) <= MAX_PASSWORD_BYTES,
    `must be at most ${MAX_PASSWORD_BYTES} bytes`,
  );

/** A password that is being proven: whatever it is, it is only compared. */
export const givenPassword = z.string().min(1).max(MAX_PASSWORD_BYTES);
