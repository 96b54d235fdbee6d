import { createHash, randomBytes } from 'node:crypto';

/** 256 bits: nobody guesses it, so a plain SHA-256 is enough to store it by. */
const SECRET_BYTES = 32;

export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** What is stored in place of a secret. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
