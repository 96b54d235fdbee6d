import { Injectable } from '@nestjs/common';
import { decodeJwt } from 'jose';
import { Clock, UnauthenticatedError } from '../../../core/index.js';
import { BoundedMap } from '../authentication/bounded-map.js';
import { ExternalTokens } from './external-tokens.js';
import { LocalTokens } from './local-tokens.js';
import type { VerifiedToken } from './token.types.js';

/** A signature costs 60 µs and libuv's threads, a look-up 1 µs. An entry is about 1 kB. */
const MAX_VERIFIED = 10_000;
const MAX_TOKEN_CHARACTERS = 8_192;

/** Checks a token by the rules of whoever issued it. Says nothing of sessions: those may end earlier. */
@Injectable()
export class TokenVerifier {
  private readonly verified = new BoundedMap<string, VerifiedToken>(MAX_VERIFIED);

  constructor(
    private readonly local: LocalTokens,
    private readonly external: ExternalTokens,
    private readonly clock: Clock,
  ) {}

  /** A token that was verified before and has not expired since. */
  peek(token: string): VerifiedToken | undefined {
    const known = this.verified.get(token);
    return known && known.expiresAtMs > this.clock.now() ? known : undefined;
  }

  /** @throws UnauthenticatedError */
  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > MAX_TOKEN_CHARACTERS) throw new UnauthenticatedError('the token is too long');
    const isExternal =
      issuerOf(token) === this.external.options?.issuer && this.external.options !== undefined;
    const verified = isExternal ? await this.external.verify(token) : await this.local.verify(token);
    this.verified.set(token, verified);
    return verified;
  }
}

/** Only chooses by whose rules the token is judged; those check the claim again, signed. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch (error) {
    throw new UnauthenticatedError('the token is not a JWT', { cause: error });
  }
}
