import { Inject, Injectable } from '@nestjs/common';
import { createSecretKey, randomUUID, type KeyObject } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { Clock, UnauthenticatedError, uuid, type Role, type Tier } from '../../../core/index.js';
import { ACCESS_OPTIONS, type AccessOptions } from '../access.options.js';
import type { LocalToken } from './token.types.js';

export const LOCAL_ISSUER = 'vigia';
/** Short, because clients that never ask again would otherwise keep an old role in their hands. */
export const ACCESS_TOKEN_LIFETIME_MS = 15 * 60_000;
const MIN_SECRET_BYTES = 32;

const claims = z.object({
  sub: uuid,
  sid: uuid,
  exp: z.number(),
  aud: z.literal(LOCAL_ISSUER).optional(),
});

/** Signs and checks Vigia's own access tokens: HS256 and nothing else. */
@Injectable()
export class LocalTokens {
  private readonly key: KeyObject;

  constructor(
    @Inject(ACCESS_OPTIONS) { jwtSecret, external }: AccessOptions,
    private readonly clock: Clock,
  ) {
    if (jwtSecret.byteLength < MIN_SECRET_BYTES) {
      throw new Error(`the secret that signs tokens must have at least ${MIN_SECRET_BYTES} bytes`);
    }
    if (external?.issuer === LOCAL_ISSUER)
      throw new Error(`an external issuer cannot be called ${LOCAL_ISSUER}`);
    this.key = createSecretKey(jwtSecret);
  }

  sign(
    user: { readonly id: string; readonly role: Role; readonly tier: Tier },
    sessionId: string,
  ): Promise<string> {
    const nowS = Math.floor(this.clock.now() / 1000);
    return new SignJWT({ role: user.role, tier: user.tier, sid: sessionId })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuer(LOCAL_ISSUER)
      .setSubject(user.id)
      .setJti(randomUUID())
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + ACCESS_TOKEN_LIFETIME_MS / 1000)
      .sign(this.key);
  }

  /** @throws UnauthenticatedError for anything but a valid token that this secret signed */
  async verify(token: string): Promise<LocalToken> {
    const payload = await this.payloadOf(token);
    const known = claims.safeParse(payload);
    if (!known.success) throw new UnauthenticatedError('the token lacks a claim', { cause: known.error });
    const { sub, sid, exp } = known.data;
    return { kind: 'local', userId: sub, sessionId: sid, expiresAtMs: exp * 1000 };
  }

  private async payloadOf(token: string): Promise<unknown> {
    try {
      const { payload } = await jwtVerify(token, this.key, {
        algorithms: ['HS256'],
        issuer: LOCAL_ISSUER,
        currentDate: new Date(this.clock.now()),
      });
      return payload;
    } catch (error) {
      throw new UnauthenticatedError('the token is not valid', { cause: error });
    }
  }
}
