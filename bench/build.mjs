// Compiles ../src into ../.cache/bench/ without touching dist/, which may belong to a running server, and
// outside this folder, whose node_modules hold other versions of what the source imports.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bench = dirname(fileURLToPath(import.meta.url));
const root = dirname(bench);
const swc = join(root, 'node_modules', '.bin', 'swc');
const args = ['src', 'migrations', '-d', join(root, '.cache', 'bench'), '--config-file', '.swcrc', '--quiet'];
const { status } = spawnSync(swc, args, { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
