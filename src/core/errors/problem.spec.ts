import { NotFoundException } from '@nestjs/common';
import {
  ConflictError,
  DependencyUnavailableError,
  RateLimitedError,
  ValidationFailedError,
} from './errors.js';
import { toProblem } from './problem.js';

describe(toProblem.name, () => {
  it('shows what an error of ours says, with its stable code', () => {
    expect(toProblem(new ConflictError('taken', 'BACKUP_RUNNING'), 'r1')).toEqual({
      type: 'about:blank',
      title: 'Conflict',
      status: 409,
      detail: 'taken',
      code: 'BACKUP_RUNNING',
      requestId: 'r1',
    });
  });

  it('lists the faults of an input and leads with the first', () => {
    const problem = toProblem(new ValidationFailedError([{ path: 'a.b', message: 'must be a number' }]), 'r');
    expect(problem).toMatchObject({
      detail: 'a.b: must be a number',
      errors: [{ path: 'a.b', message: 'must be a number' }],
    });
  });

  it('says when to come back', () => {
    const problem = toProblem(new RateLimitedError('slow down', 1_500, 0), 'r');
    expect(problem).toMatchObject({
      status: 429,
      code: 'RATE_LIMITED',
      retryAfterMs: 1_500,
      resetAt: '1970-01-01T00:00:01.500Z',
    });
  });

  it.each([
    ['a defect', new Error('SELECT secret FROM /etc/passwd')],
    ['a thrown string', 'secret'],
    ['an object with a forged status', { statusCode: 200, message: 'secret' }],
    ['an error of a library with a client status', Object.assign(new Error('secret'), { statusCode: 401 })],
    ['an error of a library with a server status', Object.assign(new Error('secret'), { statusCode: 502 })],
  ])('tells nothing of %s', (_, error) => {
    const problem = toProblem(error, 'r');
    expect(problem).toMatchObject({ status: 500, code: 'INTERNAL' });
    expect(JSON.stringify(problem)).not.toMatch(/secret|SELECT|passwd/);
  });

  it('hides the cause of an outage', () => {
    const problem = toProblem(
      new DependencyUnavailableError('PostgreSQL', new Error('10.0.0.7 refused')),
      'r',
    );
    expect(problem).toMatchObject({ status: 503, code: 'DEPENDENCY_UNAVAILABLE' });
    expect(JSON.stringify(problem)).not.toContain('10.0.0.7');
  });

  it.each([
    [new NotFoundException('Cannot GET /x'), 404, 'NOT_FOUND'],
    [{ statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' }, 413, 'PAYLOAD_TOO_LARGE'],
    [
      { statusCode: 400, code: 'FST_ERR_BAD_URL', message: "'/%zz' is not a valid url" },
      400,
      'VALIDATION_FAILED',
    ],
    [{ statusCode: 415, code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ])('gives framework errors the same shape', (error, status, code) => {
    expect(toProblem(error, 'r')).toMatchObject({ status, code, type: 'about:blank' });
  });
});
