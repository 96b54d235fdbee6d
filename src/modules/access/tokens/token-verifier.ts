import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { decodeJwt } from 'jose';
import { Clock, UnauthenticatedError } from '../../../core/index.js';
import { BoundedMap } from '../authentication/bounded-map.js';
import { ExternalTokens } from './external-tokens.js';
import { LocalTokens } from './local-tokens.js';
import type { VerifiedToken } from './token.types.js';

/** A signature costs 60 µs and libuv's threads, a look-up 2 µs. An entry is about 500 bytes, however long the token. */
const MAX_VERIFIED = 10_000;
/** An issuer that takes a key back, because it was stolen, means the tokens that it signed too. */
const EXTERNAL_TRUSTED_FOR_MS = 600_000;
const MAX_TOKEN_CHARACTERS = 8_192;

interface Verified {
  readonly token: VerifiedToken;
  /** On the monotonic clock. */
  readonly trustedUntilMs: number;
}

/** Checks a token by the rules of whoever issued it. Says nothing of sessions: those may end earlier. */
@Injectable()
export class TokenVerifier {
  /** By the token's digest: 10,000 raw tokens could take 80 MB, and would be lying in memory to be read. */
  private readonly verified = new BoundedMap<string, Verified>(MAX_VERIFIED);

  constructor(
    private readonly local: LocalTokens,
    private readonly external: ExternalTokens,
    private readonly clock: Clock,
  ) {}

  /** A token that was verified before, not too long ago, and has not expired since. */
  peek(text: string): VerifiedToken | undefined {
    const known = this.verified.get(digestOf(text));
    if (!known || known.token.expiresAtMs <= this.clock.now()) return undefined;
    return known.trustedUntilMs > this.clock.monotonicMs() ? known.token : undefined;
  }

  /** @throws UnauthenticatedError */
  async verify(token: string): Promise<VerifiedToken> {
    if (token.length > MAX_TOKEN_CHARACTERS) throw new UnauthenticatedError('the token is too long');
    const isExternal =
      issuerOf(token) === this.external.options?.issuer && this.external.options !== undefined;
    const verified = isExternal ? await this.external.verify(token) : await this.local.verify(token);
    const trustedUntilMs = isExternal ? this.clock.monotonicMs() + EXTERNAL_TRUSTED_FOR_MS : Infinity;
    this.verified.set(digestOf(token), { token: verified, trustedUntilMs });
    return verified;
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** Only chooses by whose rules the token is judged; those check the claim again, signed. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch (error) {
    throw new UnauthenticatedError('the token is not a JWT', { cause: error });
  }
}
