#!/usr/bin/env node
import { Command } from 'commander';
import { startFault } from '../app/start-fault.js';
import { VERSION } from '../app/version.js';
import { migrateCommand } from './migrate.command.js';
import { userCommand } from './user.command.js';

const program = new Command('vigia')
  .description('Operations backend: this is its command line; `npm start` runs the service')
  .version(VERSION)
  .addCommand(migrateCommand())
  .addCommand(userCommand());

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`vigia: ${startFault(error)}\n`);
  process.exit(1);
}
