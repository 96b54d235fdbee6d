/** Failures after which the same transaction may well succeed: serialization_failure and deadlock_detected. */
const TRANSIENT = new Set(['40001', '40P01']);

/** Server-side ends of a session: admin shutdown, crash, starting up, too many connections, idle time-outs. */
const LOST = new Set([
  '57P01',
  '57P02',
  '57P03',
  '57P05',
  '53300',
  '25P03',
  '25P04',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
]);

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** node-postgres reports these without a code. */
const LOST_MESSAGE =
  /Connection terminated|not queryable|Connection ended|timeout exceeded when trying to connect|Query read timeout|timeout expired|Cannot use a pool after calling end/;

export function sqlState(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** The transaction lost a race and was rolled back whole. */
export function isTransient(error: unknown): boolean {
  return TRANSIENT.has(sqlState(error) ?? '');
}

/** The connection, not the statement, is what failed. */
export function isConnectionLost(error: unknown): boolean {
  const code = sqlState(error);
  if (code !== undefined) return LOST.has(code) || NETWORK.has(code);
  return error instanceof Error && LOST_MESSAGE.test(error.message);
}

/** The deadline passed while the statement ran: the connection is given up, but the server may be well. */
export function isReadTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** node-postgres says this before it writes a byte, so nothing was sent. */
export function isNothingSent(error: unknown): boolean {
  return error instanceof Error && /not queryable/.test(error.message);
}

export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return (
    sqlState(error) === '23505' &&
    (!constraint || (error as { constraint?: string }).constraint === constraint)
  );
}

/** Text that PostgreSQL cannot store: NUL, in a text (22021) or in JSON (22P05). */
export function isUnstorableText(error: unknown): boolean {
  const code = sqlState(error);
  return code === '22021' || code === '22P05';
}
