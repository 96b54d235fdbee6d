import { PostgresLoginAttempts } from '../../src/modules/access/login-attempts/postgres-login-attempts.js';
import { RateLimitedError } from '../../src/core/errors/errors.js';
import { LoginAttempts } from '../../src/modules/access/login-attempts/login-attempts.port.js';
import type { AttemptTicket } from '../../src/modules/access/login-attempts/login-attempts.port.js';
import {
  MAX_IN_LINE_PER_CLIENT,
  PasswordGate,
} from '../../src/modules/access/login-attempts/password-gate.js';
import { FakeClock } from '../support/fake-clock.js';
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

describe(PasswordGate.name, () => {
  /** Admits everybody, and counts how many are looked at together. */
  class Counting extends LoginAttempts {
    override begin = async () => ({ outcome: 'admitted', ticket: [] }) as const;
    override settle = async (_ticket: AttemptTicket, _failed: boolean) => {};
  }

  it('keeps the callers of one client in a line of bounded length and serves all of them', async () => {
    const gate = new PasswordGate(new Counting(), new FakeClock());
    let open = (): void => {};
    const closed = new Promise<void>((resolve) => (open = resolve));
    let looking = 0;
    let most = 0;
    const check = async () => {
      most = Math.max(most, (looking += 1));
      await closed;
      looking -= 1;
      return true;
    };
    const call = (ip: string) => gate.guard({ account: 'a', ip }, check).catch((error: Error) => error.name);
    const calls = Array.from({ length: 10 + MAX_IN_LINE_PER_CLIENT + 5 }, () => call('192.0.2.1'));
    const another = call('192.0.2.2'); // does not stand in that line
    open();
    const answers = await Promise.all(calls);
    expect(answers.filter((answer) => answer === true)).toHaveLength(10 + MAX_IN_LINE_PER_CLIENT);
    expect(answers.filter((answer) => answer === 'RateLimitedError')).toHaveLength(5);
    expect([await another, most]).toEqual([true, 11]);
    expect(await call('192.0.2.1')).toBe(true);
  });

  it('gives up after three seconds when others never settle', async () => {
    class Busy extends Counting {
      override begin = async () => {
        clock.advance(1_000);
        return { outcome: 'busy' } as never;
      };
    }
    const clock = new FakeClock();
    const gate = new PasswordGate(new Busy(), clock);
    await expect(gate.guard({ account: 'a', ip: '192.0.2.1' }, async () => true)).rejects.toThrow(
      RateLimitedError,
    );
  });

  it('does not hold a breakdown of ours against the client', async () => {
    const settled: boolean[] = [];
    class Recording extends Counting {
      override settle = async (_: AttemptTicket, failed: boolean) => void settled.push(failed);
    }
    const gate = new PasswordGate(new Recording(), new FakeClock());
    const broken = gate.guard({ account: 'a', ip: '192.0.2.1' }, () =>
      Promise.reject(new Error('PostgreSQL is away')),
    );
    await expect(broken).rejects.toThrow('away');
    await gate.guard({ account: 'a', ip: '192.0.2.1' }, async () => null);
    await gate.guard({ account: 'a', ip: '192.0.2.1' }, async () => true);
    expect(settled).toEqual([false, true, false]);
  });
});
