import { run } from './app/run.js';
import { startFault } from './app/start-fault.js';
import { loadEnv } from './config/env.js';

try {
  await run(loadEnv());
} catch (error) {
  process.stderr.write(`Vigia cannot start: ${startFault(error)}\n`);
  process.exit(1);
}
