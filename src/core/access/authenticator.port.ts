import type { Principal } from './principal.js';

/** What a request or a socket handshake brought along. */
export interface Credentials {
  /** The bearer token, without the word `Bearer`. */
  readonly bearer?: string;
  /** The `X-API-Key` header. */
  readonly apiKey?: string;
}

/**
 * Proves who is calling. Answers for every request, so it must be quick, and it never fails open:
 * when it cannot tell (its store is away) it throws `DependencyUnavailableError`.
 */
export abstract class Authenticator {
  /** @throws UnauthenticatedError when the credential is missing, wrong, expired or revoked */
  abstract authenticate(credentials: Credentials): Promise<Principal>;
}
