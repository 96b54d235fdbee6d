import { ADMIN, buildApp, type TestApp } from '../support/build-app.js';

describe('the refresh cookie in production', () => {
  let test: TestApp;
  beforeAll(async () => {
    test = await buildApp({ NODE_ENV: 'production', TRUSTED_PROXY_CIDRS: '127.0.0.0/8' });
  });
  afterAll(() => test.close());

  const cookie = async (headers: Record<string, string>) => {
    const body = { ...ADMIN, session: 'cookie' };
    return (await test.request('POST', '/api/v1/auth/login', { body, headers })).headers.get('set-cookie');
  };

  it('is Secure when the page came by https, as a trusted proxy says', async () => {
    expect(await cookie({ 'x-forwarded-proto': 'https' })).toMatch(/; Secure$/);
  });

  it('is not over plain http, where the browser would throw it away', async () => {
    expect(await cookie({})).toMatch(/^vigia_refresh=[^;]+; .*SameSite=Strict$/);
    expect(await cookie({ 'x-forwarded-proto': 'http' })).toMatch(/SameSite=Strict$/);
  });
});
