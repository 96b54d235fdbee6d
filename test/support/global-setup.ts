import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres/index.js';
import { obtainBinary } from './redis-server.js';

const log = { info: () => undefined, warn: () => undefined, error: (message: string) => void process.stderr.write(`${message}\n`) };

/**
 * Obtains what every suite needs before the first one runs: a real PostgreSQL for the whole run, and
 * a Redis binary, of which suites start their own. What cannot be had fails the run; nothing is skipped.
 */
export default async function globalSetup(): Promise<void> {
  obtainBinary();
  if (process.env.TEST_DATABASE_URL) return;
  const dataDirectory = mkdtempSync(join(tmpdir(), 'vigia-jest-'));
  const postgres = await startEmbeddedPostgres({ dataDirectory, log });
  process.env.TEST_DATABASE_URL = postgres.url;
  Object.assign(globalThis, { testServices: { postgres, dataDirectory } });
}
