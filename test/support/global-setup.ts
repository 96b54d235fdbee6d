/** Obtains what every suite needs before the first one runs. */
export default async function globalSetup(): Promise<void> {
  process.env.TEST_DATABASE_URL ??= 'postgres://vigia@127.0.0.1:54999/postgres';
}
