import { Injectable } from '@nestjs/common';
import {
  Authenticator,
  ROLES,
  UnauthenticatedError,
  type Credentials,
  type Principal,
  type Role,
} from '../../src/core/index.js';

/** The bearer text is the role; any API key is a viewer's. */
@Injectable()
export class FakeAuthenticator extends Authenticator {
  async authenticate({ bearer, apiKey }: Credentials): Promise<Principal> {
    if (apiKey) return { kind: 'apiKey', id: 'k1', role: 'viewer', tier: 'free', expiresAtMs: null };
    if (!ROLES.includes(bearer as Role)) throw new UnauthenticatedError();
    return {
      kind: 'user',
      id: 'u1',
      role: bearer as Role,
      tier: 'free',
      sessionId: null,
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    };
  }
}
