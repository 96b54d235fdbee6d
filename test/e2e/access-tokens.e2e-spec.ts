import { createHmac, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, exportJWK, SignJWT, type JWTPayload } from 'jose';
import { DependencyUnavailableError } from '../../src/core/errors/errors.js';
import { ExternalTokens } from '../../src/modules/access/tokens/external-tokens.js';
import { LocalTokens } from '../../src/modules/access/tokens/local-tokens.js';
import { FakeClock } from '../support/fake-clock.js';
import { accessApp, SECRET, type AccessApp } from '../support/access-app.js';
import { eventually } from '../support/eventually.js';

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowS = () => Math.floor(Date.now() / 1000);

/** A token signed by hand, with whatever header and payload. */
function forge(header: object, payload: object, key: Buffer | string = SECRET, hash = 'sha256'): string {
  const head = `${base64url(header)}.${base64url(payload)}`;
  return `${head}.${createHmac(hash, key).update(head).digest('base64url')}`;
}

describe('own tokens', () => {
  let vigia: AccessApp;
  let token: string;
  let claims: JWTPayload;
  let otherId: string;
  beforeAll(async () => {
    vigia = await accessApp();
    ({ token } = await vigia.signIn('viewer'));
    otherId = (await vigia.signIn('operator')).id;
    claims = decodeJwt(token);
  });
  afterAll(() => vigia.close());

  const status = async (as: string) => (await vigia.call('GET', '/auth/me', { as })).status;
  const HS256 = { alg: 'HS256', typ: 'JWT' };

  it('accepts what it signed, and the same claims signed by hand', async () => {
    expect(await status(token)).toBe(200);
    expect(await status(forge(HS256, claims))).toBe(200);
  });

  const hacked: [string, () => string][] = [
    ['alg none', () => `${base64url({ alg: 'none' })}.${base64url(claims)}.`],
    ['alg nOnE', () => `${base64url({ alg: 'nOnE' })}.${base64url(claims)}.`],
    [
      'alg none with the old signature',
      () => `${base64url({ alg: 'none' })}.${token.split('.').slice(1).join('.')}`,
    ],
    ['HS384', () => forge({ alg: 'HS384' }, claims, SECRET, 'sha384')],
    ['HS512', () => forge({ alg: 'HS512' }, claims, SECRET, 'sha512')],
    ['RS256 named, HMAC used', () => forge({ alg: 'RS256' }, claims)],
    ['a kid that leads to a known file', () => forge({ ...HS256, kid: '../../../../dev/null' }, claims, '')],
    ['a kid with SQL', () => forge({ ...HS256, kid: "x' UNION SELECT 'k" }, claims, 'k')],
    [
      'a key of its own',
      () => forge({ ...HS256, jwk: { kty: 'oct', k: 'aaaa' } }, claims, Buffer.from('aaaa', 'base64url')),
    ],
    ['an unknown critical header', () => forge({ ...HS256, crit: ['x'], x: 1 }, claims)],
    ['a changed payload', () => tampered(1)],
    ['a changed signature', () => tampered(2)],
    ['no signature', () => token.split('.').slice(0, 2).join('.') + '.'],
    ['an expired token', () => forge(HS256, { ...claims, exp: nowS() - 1 })],
    ['a token without exp', () => forge(HS256, { ...claims, exp: undefined })],
    ['exp as text', () => forge(HS256, { ...claims, exp: '9999999999' })],
    ['nbf in the future', () => forge(HS256, { ...claims, nbf: nowS() + 60 })],
    ['another iss', () => forge(HS256, { ...claims, iss: 'https://issuer.example.com' })],
    ['no iss', () => forge(HS256, { ...claims, iss: undefined })],
    ['another aud', () => forge(HS256, { ...claims, aud: 'somebody-else' })],
    ['no sid', () => forge(HS256, { ...claims, sid: undefined })],
    ['an unknown sid', () => forge(HS256, { ...claims, sid: randomUUID() })],
    ["another user's sub with this session", () => forge(HS256, { ...claims, sub: otherId })],
    ["an unknown user's sub", () => forge(HS256, { ...claims, sub: randomUUID() })],
    ['sub that is no id', () => forge(HS256, { ...claims, sub: "' OR 1=1 --" })],
    ['no JWT', () => 'not.a.jwt'],
    ['a very long one', () => 'a'.repeat(9_000)],
    ...[
      '',
      'secret',
      'password',
      'changeme',
      'your-256-bit-secret',
      'vigia',
      'jwt-secret',
      'a'.repeat(32),
    ].map((weak): [string, () => string] => [
      `the weak secret ${JSON.stringify(weak)}`,
      () => forge(HS256, claims, weak),
    ]),
  ];

  function tampered(part: number): string {
    const parts = token.split('.');
    const text = parts[part]!;
    parts[part] =
      part === 1
        ? base64url({ ...claims, role: 'admin' })
        : text.slice(0, -2) + (text.endsWith('AA') ? 'BB' : 'AA');
    return parts.join('.');
  }

  it.each(hacked)('refuses %s with 401', async (_, make) => {
    const { status: answered, body } = await vigia.call('GET', '/auth/me', { as: make() });
    expect([answered, body.code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  it('does not believe the role that a token claims', async () => {
    const me = await vigia.call('GET', '/auth/me', { as: forge(HS256, { ...claims, role: 'admin' }) });
    expect(me.body.role).toBe('viewer');
  });

  it('refuses a token the moment it expires, although it was accepted a moment before', async () => {
    const short = forge(HS256, { ...claims, exp: nowS() + 2 });
    expect(await status(short)).toBe(200);
    await eventually(async () => (await status(short)) === 401, 4_000);
  });

  it('takes a token or a key, never both', async () => {
    expect((await vigia.call('GET', '/auth/me', { as: token, key: 'vgk_x_y' })).status).toBe(401);
  });

  it.each([0, 16, 31])('does not start with a secret of %d bytes', (bytes) => {
    expect(() => new LocalTokens({ jwtSecret: new Uint8Array(bytes) }, new FakeClock())).toThrow(
      'at least 32 bytes',
    );
  });
});

describe('tokens of an external issuer', () => {
  const issuer = 'https://issuer.example.com/';
  const audience = 'vigia-ops';
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let server: Server;
  let answering = true;
  let fetches = 0;
  let vigia: AccessApp;
  let admin: string;

  beforeAll(async () => {
    const keys = [
      await publicJwk(rsa.publicKey, 'rsa', 'RS256'),
      await publicJwk(ec.publicKey, 'ec', 'ES256'),
    ];
    server = createServer((_, response) => {
      fetches += 1;
      if (answering) response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }));
      else response.writeHead(500).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    vigia = await accessApp({ external: { jwksUrl, issuer, audience } });
    admin = await vigia.adminToken();
  });
  afterAll(async () => {
    await vigia.close();
    server.close();
  });

  const sign = (
    claims: JWTPayload = {},
    key: KeyObject = rsa.privateKey,
    header: object = { alg: 'RS256', kid: 'rsa' },
  ) =>
    new SignJWT({ iss: issuer, aud: audience, sub: 'ann', exp: nowS() + 300, iat: nowS(), ...claims })
      .setProtectedHeader(header as { alg: string })
      .sign(key);
  const me = (as: string) => vigia.call('GET', '/auth/me', { as });

  it('answers 503, not 401 and not 200, while the issuer cannot give its keys, and heals', async () => {
    answering = false;
    const { status, body } = await me(await sign());
    expect([status, body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    answering = true;
    expect((await me(await sign())).status).toBe(200);
  });

  it('makes a user at first sight, once, with role user', async () => {
    const token = await sign({ sub: 'first', name: 'First Sight', email: 'First@Example.com' });
    const seen = await Promise.all(Array.from({ length: 10 }, () => me(token)));
    expect(new Set(seen.map(({ body }) => body.id)).size).toBe(1);
    expect(seen[0]!.body).toMatchObject({
      role: 'user',
      tier: 'free',
      name: 'First Sight',
      email: 'first@example.com',
    });
  });

  it('takes role and tier from the claims at first sight, if they are ones', async () => {
    expect((await me(await sign({ sub: 'op', role: 'operator', tier: 'pro' }))).body).toMatchObject({
      role: 'operator',
      tier: 'pro',
    });
    expect((await me(await sign({ sub: 'op', role: 'admin' }))).body.role).toBe('operator');
    expect(
      (await me(await sign({ sub: 'odd', role: 'root', tier: 7, name: 'a\u0000b', email: 'no' }))).body,
    ).toMatchObject({
      role: 'user',
      tier: 'free',
      name: 'ab',
      email: null,
    });
  });

  it('does not become the local user whose address it shows', async () => {
    const local = await vigia.signIn('operator');
    const { body } = await me(await sign({ sub: 'thief', email: local.email }));
    expect(body.id).not.toBe(local.id);
    expect(body.role).toBe('user');
    expect((await me(local.token)).body.id).toBe(local.id);
  });

  it('accepts the other key of the set', async () => {
    expect((await me(await sign({}, ec.privateKey, { alg: 'ES256', kid: 'ec' }))).status).toBe(200);
  });

  const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  const outsider = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const payload = () => ({ iss: issuer, aud: audience, sub: 'ann', exp: nowS() + 300 });
  it.each<[string, () => Promise<string> | string]>([
    [
      'HMAC with the public key as the secret',
      () => forge({ alg: 'HS256', kid: 'rsa' }, payload(), publicPem.toString()),
    ],
    ['HMAC with our own secret', () => forge({ alg: 'HS256' }, payload())],
    ['alg none', () => `${base64url({ alg: 'none' })}.${base64url(payload())}.`],
    ['another key', () => sign({}, outsider.privateKey)],
    [
      'a key of its own in the header',
      () =>
        sign({}, outsider.privateKey, { alg: 'RS256', jwk: outsider.publicKey.export({ format: 'jwk' }) }),
    ],
    ['an unknown kid', () => sign({}, outsider.privateKey, { alg: 'RS256', kid: '../rsa' })],
    ['another audience', () => sign({ aud: 'other' })],
    ['no audience', () => sign({ aud: undefined })],
    ['another issuer', () => sign({ iss: 'https://evil.example.com' })],
    ['our own name as issuer', () => sign({ iss: 'vigia' })],
    ['an expired one', () => sign({ exp: nowS() - 60 })],
    ['nbf in the future', () => sign({ nbf: nowS() + 60 })],
    ['iat in the future', () => sign({ iat: nowS() + 60 })],
    ['no sub', () => sign({ sub: undefined })],
    ['a sub with NUL', () => sign({ sub: 'a\u0000b' })],
    ['no exp', () => sign({ exp: undefined })],
  ])('refuses %s with 401', async (_, make) => {
    const { status, body } = await me(await make());
    expect([status, body.code]).toEqual([401, 'UNAUTHENTICATED']);
  });

  it('asks the issuer no more often for a flood of unknown key ids', async () => {
    const before = fetches;
    for (let i = 0; i < 20; i++)
      expect((await me(await sign({}, outsider.privateKey, { alg: 'RS256', kid: `k${i}` }))).status).toBe(
        401,
      );
    expect(fetches - before).toBeLessThanOrEqual(1);
  });

  const out = (as: string) => vigia.call('POST', '/auth/logout', { as });
  const gone = (token: string) => eventually(async () => (await me(token)).status === 401, 1_000);

  it('signs out by sid: the other tokens of that session too, and no other session', async () => {
    const [one, same, other] = await Promise.all([
      sign({ sub: 'sid', sid: 's1', jti: '1' }),
      sign({ sub: 'sid', sid: 's1', jti: '2' }),
      sign({ sub: 'sid', sid: 's2', jti: '3' }),
    ]);
    for (const token of [one, same, other]) expect((await me(token)).status).toBe(200);
    expect((await out(one)).status).toBe(204);
    await gone(one);
    await gone(same);
    expect((await me(other)).status).toBe(200);
  });

  it('signs out by jti where there is no sid', async () => {
    const [one, other] = await Promise.all([sign({ sub: 'jti', jti: 'a' }), sign({ sub: 'jti', jti: 'b' })]);
    for (const token of [one, other]) expect((await me(token)).status).toBe(200);
    await out(one);
    await gone(one);
    expect((await me(other)).status).toBe(200);
  });

  it('signs out the user where there is neither, and at logout-all, until a younger token', async () => {
    const young = nowS() + 4; // issued later: our clock lags behind the issuer's by as much
    const [bare, again, withSid] = await Promise.all([
      sign({ sub: 'bare' }),
      sign({ sub: 'bare', iat: young }),
      sign({ sub: 'bare', sid: 'x', iat: nowS() - 1 }),
    ]);
    await out(bare);
    await gone(bare);
    await gone(withSid);
    expect((await me(again)).status).toBe(200);
    const two = await sign({ sub: 'two', sid: 'y' });
    expect((await vigia.call('POST', '/auth/logout-all', { as: two })).status).toBe(204);
    await gone(two);
  });

  it("signs out a token that is younger than now, because the issuer's clock runs ahead", async () => {
    for (const path of ['/auth/logout', '/auth/logout-all']) {
      const token = await sign({ sub: `ahead of ${path}`, iat: nowS() + 4 });
      expect((await me(token)).status).toBe(200);
      expect((await vigia.call('POST', path, { as: token })).status).toBe(204);
      await gone(token);
    }
  });

  it('signs out while the issuer cannot be asked', async () => {
    for (const path of ['/auth/logout', '/auth/logout-all']) {
      const token = await sign({ sub: 'away', jti: path });
      expect((await me(token)).status).toBe(200);
      const away = jest
        .spyOn(vigia.app.get(ExternalTokens), 'verify')
        .mockRejectedValue(new DependencyUnavailableError('the token issuer'));
      expect((await vigia.call('POST', path, { as: token })).status).toBe(204);
      away.mockRestore();
      await gone(token);
    }
  });

  it('keeps a deactivated and a deleted user out, whatever token the issuer gives', async () => {
    for (const change of ['PATCH', 'DELETE'] as const) {
      const sub = `out-${change}`;
      const { id } = (await me(await sign({ sub }))).body;
      await vigia.call(change, `/users/${id}`, {
        as: admin,
        ...(change === 'PATCH' && { body: { active: false } }),
      });
      await eventually(async () => (await me(await sign({ sub, jti: randomUUID() }))).status === 401, 1_000);
    }
  });

  it('leaves address and password to the issuer', async () => {
    const token = await sign({ sub: 'pw' });
    const { id } = (await me(token)).body;
    const own = await vigia.call('POST', '/auth/password', {
      as: token,
      body: { currentPassword: 'x', newPassword: 'twelve chars' },
    });
    expect([own.status, own.body.code]).toEqual([409, 'EXTERNAL_USER']);
    for (const body of [{ password: 'twelve chars' }, { email: 'a@b.c' }]) {
      expect((await vigia.call('PATCH', `/users/${id}`, { as: admin, body })).body.code).toBe(
        'EXTERNAL_USER',
      );
    }
    expect((await vigia.call('PATCH', '/auth/me', { as: token, body: { name: 'Own Name' } })).body.name).toBe(
      'Own Name',
    );
  });
});

async function publicJwk(key: KeyObject, kid: string, alg: string) {
  return { ...(await exportJWK(key)), kid, alg, use: 'sig' };
}
