import { EnvError } from '../config/env.js';
import { sqlState, VigiaError } from '../core/index.js';
import { EmbeddedPostgresError } from '../database/embedded-postgres/index.js';

const SYSTEM_FAULTS: Readonly<
  Record<string, (error: NodeJS.ErrnoException & { port?: number; address?: string }) => string>
> = {
  EADDRINUSE: ({ address, port }) => `${address ?? 'the address'}:${port} is in use: set PORT to a free port`,
  EACCES: ({ path, port }) =>
    path
      ? `${path} is not writable: set DATA_DIR to a folder that is`
      : `port ${port} needs privileges: set PORT above 1023`,
  ENOENT: ({ path }) => `${path} cannot be made: set DATA_DIR to a folder that can be written`,
  EROFS: ({ path }) => `${path} is on a read-only file system: set DATA_DIR to a writable folder`,
  ENOSPC: () => 'the disk is full',
  ECONNREFUSED: ({ address, port }) =>
    `PostgreSQL at ${address}:${port} refuses connections: check DATABASE_URL`,
  ENOTFOUND: () => 'the host in DATABASE_URL does not exist',
};

const SQL_FAULTS: Readonly<Record<string, string>> = {
  '28P01': 'PostgreSQL refuses the password in DATABASE_URL',
  '28000': 'PostgreSQL refuses the user in DATABASE_URL',
  '3D000': 'the database in DATABASE_URL does not exist',
  '42501': 'the role in DATABASE_URL may not create the schema vigia: grant CREATE on the database',
};

/** Why the start failed, in one line that says what to do; never a secret. */
export function startFault(error: unknown): string {
  if (error instanceof EnvError || error instanceof VigiaError || error instanceof EmbeddedPostgresError)
    return error.message;
  const code = sqlState(error);
  const system = SYSTEM_FAULTS[code ?? ''];
  if (system) return system(error as NodeJS.ErrnoException);
  return SQL_FAULTS[code ?? ''] ?? (error instanceof Error ? error.message : String(error));
}
