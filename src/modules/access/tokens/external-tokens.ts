import { Inject, Injectable } from '@nestjs/common';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import {
  Clock,
  DependencyUnavailableError,
  plainText,
  ROLES,
  TIERS,
  UnauthenticatedError,
} from '../../../core/index.js';
import { ACCESS_OPTIONS, type AccessOptions, type ExternalIssuerOptions } from '../access.options.js';
import { revocationKey } from '../stores/token-revocations.store.js';
import { emailAddress } from '../users/email-address.js';
import type { ExternalProfile } from '../users/user.types.js';
import type { ExternalToken } from './token.types.js';

/** Asymmetric ones only: with a shared-secret algorithm the issuer's public key would be the secret. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const FETCH_TIMEOUT_MS = 3_000;
/** An unknown key id makes us look again, but tokens with invented ones at most this often. */
const FETCH_COOLDOWN_MS = 30_000;
const KEYS_MAX_AGE_MS = 600_000;
/** Two machines' clocks are never quite equal. */
const CLOCK_TOLERANCE_S = 5;

/** The end of the year 9999: later instants are no dates. */
const LAST_SECOND = 253_402_300_799;

const shortText = plainText(255);
const claims = z.object({
  sub: shortText,
  exp: z.number().max(LAST_SECOND),
  iat: z.number().max(LAST_SECOND).optional(),
  sid: shortText.optional(),
  jti: shortText.optional(),
});

/** Checks the tokens of the external issuer against the keys it publishes. */
@Injectable()
export class ExternalTokens {
  readonly options: ExternalIssuerOptions | undefined;
  private readonly keys: JWTVerifyGetKey | undefined;

  constructor(
    @Inject(ACCESS_OPTIONS) { external }: AccessOptions,
    private readonly clock: Clock,
  ) {
    this.options = external;
    this.keys =
      external &&
      createRemoteJWKSet(new URL(external.jwksUrl), {
        timeoutDuration: FETCH_TIMEOUT_MS,
        cooldownDuration: FETCH_COOLDOWN_MS,
        cacheMaxAge: KEYS_MAX_AGE_MS,
      });
  }

  /**
   * @throws UnauthenticatedError for anything but a valid token of the issuer
   * @throws DependencyUnavailableError when the issuer's keys are needed and cannot be had
   */
  async verify(token: string): Promise<ExternalToken> {
    const { options, keys } = this;
    if (!options || !keys) throw new UnauthenticatedError('no external issuer is configured');
    const payload = await this.payloadOf(token, options, keys);
    const known = claims.safeParse(payload);
    if (!known.success) throw new UnauthenticatedError('the token lacks a claim', { cause: known.error });
    const { sub, exp, iat, sid, jti } = known.data;
    // Such a token would be younger than every sign-out until then.
    if (iat !== undefined && iat * 1000 > this.clock.now() + CLOCK_TOLERANCE_S * 1000)
      throw new UnauthenticatedError('the token was issued in the future');
    return {
      kind: 'external',
      profile: profileOf(payload, options.issuer, sub),
      sessionId: sid ?? null,
      revocationKey: keyOf(options.issuer, sid, jti),
      issuedAtMs: iat === undefined ? null : iat * 1000,
      expiresAtMs: exp * 1000,
    };
  }

  private async payloadOf(
    token: string,
    { issuer, audience }: ExternalIssuerOptions,
    keys: JWTVerifyGetKey,
  ): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience,
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(this.clock.now()),
      });
      return payload;
    } catch (error) {
      if (isTokenFault(error)) throw new UnauthenticatedError('the token is not valid', { cause: error });
      throw new DependencyUnavailableError('the token issuer', error);
    }
  }
}

/** jose's faults of the token itself; what is left is a key set that could not be fetched or read. */
function isTokenFault(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false;
  const keySetFault = error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid;
  return !keySetFault && error.code !== errors.JOSEError.code; // the plain class: the key set's URL did not answer 200
}

function keyOf(issuer: string, sid: string | undefined, jti: string | undefined): string | null {
  if (sid !== undefined) return revocationKey(issuer, 'sid', sid);
  return jti === undefined ? null : revocationKey(issuer, 'jti', jti);
}

/** Claims are another system's text: what does not fit falls back, and never fails the sign-in. */
function profileOf(payload: JWTPayload, issuer: string, subject: string): ExternalProfile {
  const { role, tier, email, name, preferred_username: userName } = payload;
  const address = emailAddress.safeParse(email).data ?? null;
  return {
    issuer,
    subject,
    role: z.enum(ROLES).safeParse(role).data ?? 'user',
    tier: z.enum(TIERS).safeParse(tier).data ?? 'free',
    name: displayName(name) ?? displayName(userName) ?? address ?? displayName(subject) ?? 'unnamed',
    email: address,
  };
}

function displayName(claim: unknown): string | undefined {
  if (typeof claim !== 'string') return undefined;
  return [...claim.replace(/\p{Cc}/gu, '')].slice(0, 200).join('') || undefined;
}
