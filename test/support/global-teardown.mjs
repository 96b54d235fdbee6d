import { rmSync } from 'node:fs';

export default async function globalTeardown() {
  const { testServices } = globalThis;
  if (!testServices) return;
  await testServices.postgres.stop();
  rmSync(testServices.postgres.clusterDirectory, { recursive: true, force: true });
  rmSync(testServices.dataDirectory, { recursive: true, force: true });
}
