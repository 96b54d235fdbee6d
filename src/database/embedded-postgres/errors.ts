/** Stable: operators search for them, and tests and `main` tell failures apart by them. */
export type EmbeddedPostgresErrorCode =
  | 'BINARIES_MISSING'
  | 'BINARIES_UNUSABLE'
  | 'DATA_DIR_UNUSABLE'
  | 'DATA_MISSING'
  | 'DATA_SHARED'
  | 'DATA_UNREACHABLE'
  | 'INITDB_FAILED'
  | 'NOT_READY'
  | 'PASSWORD_LOST'
  | 'PASSWORD_REJECTED'
  | 'START_FAILED'
  | 'WRONG_MAJOR'
  | 'WRONG_OWNER';

/** A start that cannot succeed. `message` is one line, fit to be printed alone, and holds no secret. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';

  constructor(
    readonly code: EmbeddedPostgresErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** This try failed, but another process is at work, so the next try may succeed. */
export class NotYetError extends Error {
  override readonly name = 'NotYetError';
}

const DISK_ERRORS = new Set(['EACCES', 'EDQUOT', 'EEXIST', 'EIO', 'ENOSPC', 'ENOTDIR', 'EPERM', 'EROFS']);

/** Gives a bare file system error (which names the path, but not what it is for) its sentence. */
export function explainDiskError(error: unknown, dataDirectory: string): unknown {
  if (!DISK_ERRORS.has(codeOf(error) ?? '')) return error;
  return new EmbeddedPostgresError(
    'DATA_DIR_UNUSABLE',
    `DATA_DIR ${dataDirectory} cannot hold the database: ${reasonOf(error)}`,
    { cause: error },
  );
}

/** The system's or PostgreSQL's code of an error ("ENOENT", "57P03"), if it has one. */
export function codeOf(error: unknown): string | undefined {
  return textIn(error, 'code');
}

/** What went wrong, in one line, whatever was thrown. */
export function reasonOf(error: unknown): string {
  const text = textIn(error, 'message') || codeOf(error) || String(error);
  return text.trim().replaceAll(/\s*\n\s*/g, ' ');
}

/** Not by `instanceof Error`: errors of Node's core are of another realm under jest. */
export function textIn(error: unknown, property: string): string | undefined {
  const value: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, property) : undefined;
  return typeof value === 'string' ? value : undefined;
}
