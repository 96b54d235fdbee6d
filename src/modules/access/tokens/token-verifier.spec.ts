import { SignJWT } from 'jose';
import { FakeClock } from '../../../../test/support/fake-clock.js';
import type { ExternalTokens } from './external-tokens.js';
import { LocalTokens } from './local-tokens.js';
import { TokenVerifier } from './token-verifier.js';
import type { ExternalToken } from './token.types.js';

const SECRET = Buffer.alloc(32, 1);
const ISSUER = 'https://issuer.example.com/';

describe(TokenVerifier.name, () => {
  const clock = new FakeClock();
  const external = {
    options: { issuer: ISSUER, audience: 'a', jwksUrl: 'http://127.0.0.1/' },
    verify: async () => ({ kind: 'external', expiresAtMs: clock.now() + 86_400_000 }) as ExternalToken,
  } as unknown as ExternalTokens;
  const local = new LocalTokens({ jwtSecret: SECRET }, clock);
  const verifier = new TokenVerifier(local, external, clock);

  it("asks for an external issuer's word again after ten minutes, however long the token lives", async () => {
    const token = await new SignJWT({ iss: ISSUER }).setProtectedHeader({ alg: 'HS256' }).sign(SECRET);
    expect(verifier.peek(token)).toBeUndefined();
    await verifier.verify(token);
    clock.advance(599_999);
    expect(verifier.peek(token)).toMatchObject({ kind: 'external' });
    clock.advance(1);
    expect(verifier.peek(token)).toBeUndefined();
  });

  it('knows an own token until it expires, and no other by its beginning', async () => {
    const user = { id: '01890000-0000-7000-8000-000000000000', role: 'user', tier: 'free' } as const;
    const token = await local.sign(user, '01890000-0000-7000-8000-000000000001');
    await verifier.verify(token);
    clock.advance(899_000 - 1_000);
    expect(verifier.peek(token)).toMatchObject({ kind: 'local', userId: user.id });
    expect(verifier.peek(`${token.slice(0, -1)}!`)).toBeUndefined();
    clock.advance(2_000);
    expect(verifier.peek(token)).toBeUndefined();
  });
});
