import { DependencyUnavailableError } from '../../../core/index.js';
import { CheckFailedError, errorCodeOf } from './error-code.js';

const withCode = (code: string) =>
  Object.assign(new Error('connect to db.internal as postgres:hunter2 failed'), { code });

describe(errorCodeOf.name, () => {
  it.each([
    [withCode('ECONNREFUSED'), 'CONNECTION_REFUSED'],
    [withCode('ENOTFOUND'), 'DNS'],
    [withCode('DEPTH_ZERO_SELF_SIGNED_CERT'), 'TLS'],
    [withCode('ERR_TLS_CERT_ALTNAME_INVALID'), 'TLS'],
    [withCode('28P01'), 'AUTH'],
    [new Error('Query read timeout'), 'TIMEOUT'],
    [new CheckFailedError('HTTP_503'), 'HTTP_503'],
    [new DependencyUnavailableError('PostgreSQL', withCode('ECONNREFUSED')), 'CONNECTION_REFUSED'],
    [new DependencyUnavailableError('PostgreSQL'), 'UNAVAILABLE'],
    [new AggregateError([withCode('ECONNREFUSED')]), 'CONNECTION_REFUSED'],
    [new Error('password hunter2 at 10.0.0.7'), 'FAILED'],
    ['a string', 'FAILED'],
  ])('calls %s %s', (error, code) => expect(errorCodeOf(error)).toBe(code));

  it('never shows what a message holds', () =>
    expect(errorCodeOf(withCode('EWEIRD_hunter2'))).toBe('FAILED'));

  it('ends on a cause that is its own cause', () => {
    const error = new Error('loop');
    error.cause = error;
    expect(errorCodeOf(error)).toBe('FAILED');
  });
});
