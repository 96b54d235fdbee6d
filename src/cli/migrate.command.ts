import { Command } from 'commander';
import { addressOfUrl, migrate, pendingMigrations, revertLast } from '../core/index.js';
import { withResources } from './with-database.js';

/** `vigia migrate`: what every start does by itself, for deployments that migrate in a step of their own. */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database up to this version')
    .option('--pending', 'only list what would run')
    .option('--revert', 'take the newest migration back')
    .action(async (options: { pending?: boolean; revert?: boolean }) => {
      await withResources(async ({ databaseUrl }) => print(await act(databaseUrl, options)));
    });
}

async function act(url: string, options: { pending?: boolean; revert?: boolean }): Promise<string[]> {
  const address = addressOfUrl(url);
  if (options.pending) return named('pending', await pendingMigrations(address));
  if (options.revert)
    return named(
      'reverted',
      [await revertLast(address)].filter((name) => name !== null),
    );
  return named('applied', await migrate(address));
}

function named(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [`nothing ${what}`] : names.map((name) => `${what} ${name}`);
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
