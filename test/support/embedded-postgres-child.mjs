// A second process for tests of the embedded server, from the built code: starts it with the options
// in its first argument (JSON), as the user in its second, tells what happens in lines of JSON, and
// stops when its input says so.
import { createInterface } from 'node:readline';
import { startEmbeddedPostgres } from '../../dist/src/database/embedded-postgres/index.js';

const [options, uid] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const logAt = (level) => (message) => tell({ event: 'log', level, message });
const log = { info: logAt('info'), warn: logAt('warn'), error: logAt('error') };

// After the imports: an ordinary user may not be able to read this file.
if (uid) becomeUser(uid);
const beganAt = performance.now();
try {
  const { stop, ...started } = await startEmbeddedPostgres({ ...options, log });
  tell({ event: 'started', ...started, elapsedMs: Math.round(performance.now() - beganAt) });
  stopWhenTold(stop);
} catch (error) {
  tell({ event: 'failed', code: error.code, message: error.message });
}

function becomeUser(id) {
  process.setgroups([]);
  process.setgid(id);
  process.setuid(id);
}

function stopWhenTold(stop) {
  const commands = createInterface({ input: process.stdin });
  commands.once('line', async () => {
    process.stdin.destroy(); // It would keep this process alive, and a leak of the server's is to be seen.
    await stop();
    tell({ event: 'stopped' });
  });
}
