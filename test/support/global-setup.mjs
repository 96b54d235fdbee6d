import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Obtains what nearly every suite needs: one real PostgreSQL for the whole run. Plain JavaScript on the
 * built supervisor, because jest does not map `.js` to `.ts` in this file's imports.
 */
export default async function globalSetup() {
  if (process.env.TEST_DATABASE_URL) return;
  const { startEmbeddedPostgres } = await import('../../dist/src/database/embedded-postgres/index.js');
  const dataDirectory = mkdtempSync(join(tmpdir(), 'vigia-jest-'));
  chmodSync(dataDirectory, 0o755); // as root the server runs as another user, who must get in
  const log = { info() {}, warn() {}, error: (message) => process.stderr.write(`${message}\n`) };
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
  const postgres = await startEmbeddedPostgres({ dataDirectory, log, settings });
  process.env.TEST_DATABASE_URL = postgres.url;
  globalThis.testServices = { postgres, dataDirectory };
}
