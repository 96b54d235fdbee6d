import { z } from 'zod';
import { givenPassword, newPassword } from '../passwords/password-policy.js';
import { emailAddress } from '../users/email-address.js';
import { ACCESS_TOKEN_LIFETIME_MS } from '../tokens/local-tokens.js';
import type { User } from '../users/user.types.js';
import { personName, toUserAnswer, userAnswer } from '../users/users.dto.js';
import type { TokenPair } from './sessions.service.js';

export const loginBody = z.strictObject({
  email: emailAddress,
  password: givenPassword,
  session: z.enum(['token', 'cookie']).default('token'),
});
export type LoginBody = z.infer<typeof loginBody>;

export const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(512).optional() });
export type RefreshBody = z.infer<typeof refreshBody>;

export const passwordBody = z.strictObject({ currentPassword: givenPassword, newPassword });
export type PasswordBody = z.infer<typeof passwordBody>;

/** A language tag such as `pt-BR`, in its canonical form. */
const locale = z.string().max(35).refine(isLocale, 'must be a language tag such as en or pt-BR');

/** A time zone of the IANA database, e.g. `Europe/Lisbon`. */
const timezone = z.string().max(64).refine(isTimezone, 'must be a time zone such as Europe/Lisbon');

export const profileBody = z.strictObject({
  name: personName.optional(),
  locale: locale.optional(),
  timezone: timezone.optional(),
});
export type ProfileBody = z.infer<typeof profileBody>;

export const profileAnswer = userAnswer.extend({
  locale: z.string().nullable(),
  timezone: z.string().nullable(),
});
export type ProfileAnswer = z.infer<typeof profileAnswer>;

export const tokensAnswer = z.object({
  accessToken: z.string(),
  refreshToken: z.string().optional(),
  expiresInMs: z.int(),
  user: userAnswer,
});
export type TokensAnswer = z.infer<typeof tokensAnswer>;

export function toProfileAnswer(user: User): ProfileAnswer {
  return { ...toUserAnswer(user), locale: user.locale, timezone: user.timezone };
}

/** @param inCookie the refresh token travels in the cookie, so scripts must not see it */
export function toTokensAnswer(
  { accessToken, refreshToken, user }: TokenPair,
  inCookie: boolean,
): TokensAnswer {
  const answer = { accessToken, expiresInMs: ACCESS_TOKEN_LIFETIME_MS, user: toUserAnswer(user) };
  return inCookie ? answer : { ...answer, refreshToken };
}

function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text)[0] === text;
  } catch {
    return false; // a RangeError is how Intl says no
  }
}

function isTimezone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== '';
  } catch {
    return false; // a RangeError is how Intl says no
  }
}
