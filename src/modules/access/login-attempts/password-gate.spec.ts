import { Logger } from '@nestjs/common';
import { FakeClock } from '../../../../test/support/fake-clock.js';
import { DependencyUnavailableError } from '../../../core/index.js';
import { LoginAttempts, type AttemptVerdict } from './login-attempts.port.js';
import { MAX_IN_LINE, MAX_IN_LINE_PER_CLIENT, PasswordGate } from './password-gate.js';

class Attempts extends LoginAttempts {
  readonly settled: boolean[] = [];
  settling: () => Promise<void> = async () => {};

  override async begin(): Promise<AttemptVerdict> {
    return { outcome: 'admitted', ticket: [] };
  }

  override settle(_: unknown, failed: boolean): Promise<void> {
    this.settled.push(failed);
    return this.settling();
  }
}

describe(PasswordGate.name, () => {
  const attempt = { account: 'ann@example.com', ip: '192.0.2.1' };
  let attempts: Attempts;
  let gate: PasswordGate;
  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    attempts = new Attempts();
    gate = new PasswordGate(attempts, new FakeClock());
  });

  it("answers what the password's check said, though it cannot be settled", async () => {
    attempts.settling = () => Promise.reject(new Error('no'));
    expect(await gate.guard(attempt, async () => 'in')).toBe('in');
    expect(await gate.guard(attempt, async () => null)).toBeNull();
    await expect(gate.guard(attempt, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(attempts.settled).toEqual([false, true, false]);
  });

  it('lets no client fill the line, and says that it is our own overload when many do', async () => {
    let open = (): void => {};
    const opened = new Promise<string>((resolve) => (open = () => resolve('in')));
    const ask = (ip: string) =>
      gate.guard({ ...attempt, ip }, () => opened).catch((error: Error) => error.name);
    const many = (count: number, ip: string) => Array.from({ length: count }, () => ask(ip));
    const one = many(10 + MAX_IN_LINE_PER_CLIENT + 7, '192.0.2.1');
    const other = ask('192.0.2.2');
    const crowd = Array.from({ length: 4 }, (_, i) =>
      many(10 + MAX_IN_LINE_PER_CLIENT, `192.0.3.${i}`),
    ).flat();
    const late = many(11, '192.0.4.1'); // ten may run, the next must stand in a line that is full
    open();
    const count = async (asked: Promise<unknown>[], answer: string) =>
      (await Promise.all(asked)).filter((each) => each === answer).length;
    expect(await count(one, 'RateLimitedError')).toBe(7);
    expect(await other).toBe('in');
    expect(await count(crowd, 'in')).toBe(4 * 10 + MAX_IN_LINE - MAX_IN_LINE_PER_CLIENT);
    expect(await count(late, 'OverloadedError')).toBe(1);
    expect(await ask('192.0.2.1')).toBe('in');
  });

  it('does not wait for PostgreSQL a second time when the check found it away', async () => {
    attempts.settling = () => new Promise(() => {}); // a lost route
    const check = () => Promise.reject(new DependencyUnavailableError('PostgreSQL'));
    await expect(gate.guard(attempt, check)).rejects.toThrow(DependencyUnavailableError);
    expect(attempts.settled).toEqual([false]);
  });
});
