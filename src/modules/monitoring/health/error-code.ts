import { types } from 'node:util';

/** A failure that names its code itself. The code is shown to users, so it must hold nothing secret. */
export class CheckFailedError extends Error {
  constructor(readonly errorCode: string) {
    super(errorCode);
    this.name = 'CheckFailedError';
  }
}

const BY_SYSTEM_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ECONNRESET: 'CONNECTION_RESET',
  EPIPE: 'CONNECTION_RESET',
  ENOTFOUND: 'DNS',
  EAI_AGAIN: 'DNS',
  ETIMEDOUT: 'TIMEOUT',
  EHOSTUNREACH: 'UNREACHABLE',
  ENETUNREACH: 'UNREACHABLE',
  ADDRESS_FORBIDDEN: 'ADDRESS_FORBIDDEN',
  DEPENDENCY_UNAVAILABLE: 'UNAVAILABLE',
  HPE_HEADER_OVERFLOW: 'PROTOCOL',
};

const TLS = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;
const TIMED_OUT = /time(d)? ?-?out|timeout/i;
/** How deep wrapped causes are followed. */
const MAX_CAUSES = 5;

/** The stable code of whatever a check threw. Of messages nothing but "timed out" is read, and none is shown. */
export function errorCodeOf(error: unknown): string {
  let wrapper: string | undefined;
  let current = error;
  for (let depth = 0; depth < MAX_CAUSES && types.isNativeError(current); depth++) {
    const code = codeOf(current);
    if (code !== undefined && code !== 'UNAVAILABLE') return code;
    wrapper ??= code;
    current =
      'errors' in current && Array.isArray(current.errors) ? (current.errors as unknown[])[0] : current.cause;
  }
  return wrapper ?? 'FAILED';
}

function codeOf(error: Error): string | undefined {
  if (error instanceof CheckFailedError) return error.errorCode;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = BY_SYSTEM_CODE[code];
  if (known) return known;
  if (TLS.test(code)) return 'TLS';
  if (code.startsWith('HPE_')) return 'PROTOCOL';
  if (/^28[0-9A-Z]{3}$/.test(code) || /^(NOAUTH|WRONGPASS)\b/.test(error.message)) return 'AUTH';
  if (error.name === 'TimeoutError' || error.name === 'AbortError' || TIMED_OUT.test(error.message))
    return 'TIMEOUT';
  return undefined;
}
