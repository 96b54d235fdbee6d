import { Database } from './database.js';

/** A module that needs PostgreSQL was imported without it. */
export class DatabaseRequiredError extends Error {
  constructor(who: string) {
    super(
      `${who} needs CoreModule.forRoot({ database: { url } }) or CoreModule.forRoot({ database: { dataSource } })`,
    );
    this.name = 'DatabaseRequiredError';
  }
}

/** Stands in where no database is configured: whoever uses it is told what to configure. */
export function absentDatabase(): Database {
  const refuse = (who = 'this Vigia module'): never => {
    throw new DatabaseRequiredError(who);
  };
  const stub = {
    requireFor: refuse,
    query: () => refuse(),
    execute: () => refuse(),
    transaction: () => refuse(),
    stats: () => refuse(),
    close: async () => {},
  };
  return Object.assign(Object.create(Database.prototype) as Database, stub, { isConfigured: false });
}
