import { rmSync } from 'node:fs';
import type { EmbeddedPostgres } from '../../src/database/embedded-postgres/index.js';

interface Services {
  readonly postgres: EmbeddedPostgres;
  readonly dataDirectory: string;
}

export default async function globalTeardown(): Promise<void> {
  const { testServices } = globalThis as { testServices?: Services };
  if (!testServices) return;
  await testServices.postgres.stop();
  rmSync(testServices.dataDirectory, { recursive: true, force: true });
}
