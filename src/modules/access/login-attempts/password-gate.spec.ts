import { Logger } from '@nestjs/common';
import { FakeClock } from '../../../../test/support/fake-clock.js';
import { DependencyUnavailableError } from '../../../core/index.js';
import { LoginAttempts, type AttemptVerdict } from './login-attempts.port.js';
import { PasswordGate } from './password-gate.js';

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

  it('does not wait for PostgreSQL a second time when the check found it away', async () => {
    attempts.settling = () => new Promise(() => {}); // a lost route
    const check = () => Promise.reject(new DependencyUnavailableError('PostgreSQL'));
    await expect(gate.guard(attempt, check)).rejects.toThrow(DependencyUnavailableError);
    expect(attempts.settled).toEqual([false]);
  });
});
