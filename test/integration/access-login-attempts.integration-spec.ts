import { PostgresLoginAttempts } from '../../src/modules/access/login-attempts/postgres-login-attempts.js';
import type { LoginAttempts } from '../../src/modules/access/login-attempts/login-attempts.port.js';
import { openTestDatabase } from '../support/test-database.js';

describe(PostgresLoginAttempts.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  let attempts: LoginAttempts;
  beforeAll(async () => {
    db = await openTestDatabase();
    attempts = new PostgresLoginAttempts(db.database);
  });
  afterAll(() => db.close());

  const outcome = async (ip: string, account: string) => (await attempts.begin({ ip, account })).outcome;
  const fail = async (ip: string, account: string) => {
    const verdict = await attempts.begin({ ip, account });
    if (verdict.outcome === 'admitted') await attempts.settle(verdict.ticket, true);
    return verdict.outcome;
  };

  it('gives exactly ten places to fifty that ask together, and says busy to the others', async () => {
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => outcome('192.0.2.1', `a${i}`)));
    expect(outcomes.filter((each) => each === 'admitted')).toHaveLength(10);
    expect(outcomes.filter((each) => each === 'busy')).toHaveLength(40);
  });

  it('refuses after ten failures of a client and a hundred of an account', async () => {
    for (let i = 0; i < 10; i++) expect(await fail('192.0.2.2', 'x')).toBe('admitted');
    expect(await outcome('192.0.2.2', 'x')).toBe('refused');
    for (let i = 0; i < 90; i++) expect(await fail(`192.0.3.${i}`, 'x')).toBe('admitted');
    expect(await outcome('192.0.2.3', 'x')).toBe('refused');
    expect(await outcome('192.0.2.3', 'y')).toBe('admitted');
  });

  it('gives the place back after a success, once, however often it is told', async () => {
    for (let i = 0; i < 9; i++) await fail('192.0.2.4', 'z');
    const verdict = await attempts.begin({ ip: '192.0.2.4', account: 'z' });
    expect(await outcome('192.0.2.4', 'z')).toBe('busy');
    if (verdict.outcome !== 'admitted') throw new Error('not admitted');
    await attempts.settle(verdict.ticket, false);
    await attempts.settle(verdict.ticket, true);
    expect(await outcome('192.0.2.4', 'z')).toBe('admitted');
  });

  it('stores no more than the limits allow, whoever tries how often', async () => {
    for (let i = 0; i < 30; i++) await fail('192.0.2.5', 'w');
    const rows = await db.database.query<{ most: number }>(
      'SELECT max(cardinality(failed_at) + cardinality(pending_at)) AS most FROM vigia.login_attempts WHERE key LIKE $1',
      ['address:%'],
    );
    expect(rows[0]!.most).toBeLessThanOrEqual(10);
  });
});
