import { Logger, type CallHandler, type ExecutionContext } from '@nestjs/common';
import { lastValueFrom, of, throwError } from 'rxjs';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { DependencyUnavailableError, NotFoundError, ValidationFailedError } from '../errors/errors.js';
import { AUDITED } from './access.metadata.js';
import { AuditInterceptor } from './audit.interceptor.js';
import { AuditLog, type AuditEntry } from './audit.port.js';
import type { Role } from './role.js';

class Log extends AuditLog {
  readonly recorded: AuditEntry[] = [];
  readonly noted: AuditEntry[] = [];
  recording: () => Promise<void> = async () => {};

  override record(entry: AuditEntry): Promise<void> {
    this.recorded.push(entry);
    return this.recording();
  }

  override note(entry: AuditEntry): void {
    this.noted.push(entry);
  }
}

describe(AuditInterceptor.name, () => {
  let log: Log;
  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    log = new Log();
  });

  /** One call of an audited route for this role, whose handler gives `result`. */
  function call(result: CallHandler, role: Role = 'admin'): Promise<unknown> {
    const handler = () => {};
    Reflect.defineMetadata(AUDITED, { action: 'thing.do', kind: 'admin', target: 'id' }, handler);
    const request = {
      id: 'r1',
      ip: '192.0.2.1',
      params: { id: '01890000-0000-7000-8000-00000000ABCD' },
      routeOptions: { config: { vigia: { access: { kind: 'role', role, orAnyKey: false } } } },
    };
    const context = {
      getHandler: () => handler,
      switchToHttp: () => ({ getRequest: () => request }),
    } as unknown as ExecutionContext;
    return lastValueFrom(new AuditInterceptor(new FakeClock(), log).intercept(context, result));
  }
  const fails = (error: Error): CallHandler => ({ handle: () => throwError(() => error) });
  const answers = (answer: unknown): CallHandler => ({ handle: () => of(answer) });

  it('does not wait for PostgreSQL a second time when the work found it away', async () => {
    log.recording = () => new Promise(() => {}); // a lost route
    await expect(call(fails(new DependencyUnavailableError('PostgreSQL')))).rejects.toThrow('not reachable');
    expect(log.noted).toEqual([
      expect.objectContaining({ result: 'failed', code: 'DEPENDENCY_UNAVAILABLE' }),
    ]);
  }, 2_000);

  it('gives the real answer and the real error when the log fails', async () => {
    log.recording = () => Promise.reject(new Error('the log is broken'));
    expect(await call(answers('done'))).toBe('done');
    await expect(call(fails(new NotFoundError('the thing')))).rejects.toThrow('the thing was not found');
    expect(log.recorded).toHaveLength(2);
  });

  it('notes failures on routes for everybody, and records whatever else happened', async () => {
    const fault = new ValidationFailedError([{ path: 'x', message: 'is wrong' }]);
    await expect(call(fails(fault), 'user')).rejects.toThrow(fault);
    expect([log.noted.length, log.recorded.length]).toEqual([1, 0]);
    await expect(call(fails(fault), 'operator')).rejects.toThrow(fault);
    await call(answers('done'), 'user');
    expect([log.noted.length, log.recorded.length]).toEqual([1, 2]);
  });

  it('knows one target by one name, however its id was spelled', async () => {
    await call(answers('done'));
    expect(log.recorded[0]!.target).toBe('01890000-0000-7000-8000-00000000abcd');
  });
});
