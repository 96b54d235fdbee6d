import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Env } from '../config/env.js';
import { generatedSecret } from '../config/secrets.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../database/embedded-postgres/index.js';

/** What the environment leaves open in embedded mode, made and filled in. */
export interface Resources {
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  /** 32 bytes in base64. */
  readonly secretsKey: string;
  readonly dataDirectory: string;
  /** Lets go of the embedded server; the last instance stops it. */
  readonly release: () => Promise<void>;
}

export interface StartLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export async function prepareResources(env: Env, log: StartLog): Promise<Resources> {
  const dataDirectory = resolve(env.DATA_DIR);
  await makeFolder(dataDirectory);
  // Before the server starts: a fault here must not leave one running that nobody owns.
  const jwtSecret = env.JWT_SECRET ?? (await generatedSecret(dataDirectory, 'jwt-secret'));
  const secretsKey = env.SECRETS_KEY ?? (await generatedSecret(dataDirectory, 'secrets-key'));
  const embedded =
    env.DATABASE_URL === undefined ? await startEmbeddedPostgres({ dataDirectory, log }) : undefined;
  return {
    databaseUrl: env.DATABASE_URL ?? urlOf(embedded),
    jwtSecret,
    secretsKey,
    dataDirectory,
    release: async () => embedded?.stop(),
  };
}

function urlOf(embedded: EmbeddedPostgres | undefined): string {
  if (!embedded) throw new Error('neither DATABASE_URL nor the embedded PostgreSQL is there');
  return embedded.url;
}

/**
 * Makes a folder and those above it. Not by `mkdir({ recursive: true })`, which spins for ever where a
 * file system answers ENOENT although the parent exists, as /proc does.
 */
async function makeFolder(path: string): Promise<void> {
  if (await exists(path)) return;
  await makeFolder(dirname(path));
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another start was quicker
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
