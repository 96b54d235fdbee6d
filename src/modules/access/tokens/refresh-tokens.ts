import { Inject, Injectable } from '@nestjs/common';
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { ACCESS_OPTIONS, type AccessOptions } from '../access.options.js';

/** What a refresh token says, once its signature was found right. */
export interface RefreshToken {
  readonly sessionId: string;
  /** Each rotation of a session has the next number; only the last one may be used. */
  readonly generation: number;
}

const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})$/;

/**
 * Refresh tokens, `<session>.<generation>.<HMAC-SHA256>`. They tell by themselves which rotation they
 * belong to, so that an old one is recognised for as long as its session is kept, however many came
 * after it, and the session needs to remember a number only.
 */
@Injectable()
export class RefreshTokens {
  private readonly key: Buffer;

  constructor(@Inject(ACCESS_OPTIONS) { jwtSecret }: AccessOptions) {
    // A key of its own: no signature of one kind of token must ever pass for another's.
    this.key = Buffer.from(hkdfSync('sha256', jwtSecret, '', 'vigia refresh token', 32));
  }

  sign({ sessionId, generation }: RefreshToken): string {
    const claim = `${sessionId}.${generation}`;
    return `${claim}.${this.mac(claim).toString('base64url')}`;
  }

  /** @returns null for anything that this secret did not sign */
  verify(text: string): RefreshToken | null {
    const [, sessionId, generation, mac] = TOKEN.exec(text) ?? [];
    if (!sessionId || !generation || !mac) return null;
    const signed = timingSafeEqual(Buffer.from(mac, 'base64url'), this.mac(`${sessionId}.${generation}`));
    return signed ? { sessionId, generation: Number(generation) } : null;
  }

  private mac(claim: string): Buffer {
    return createHmac('sha256', this.key).update(claim).digest();
  }
}
