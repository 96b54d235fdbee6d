// What the compiler leaves undone: the command line must be executable, and the stamp tells
// build-if-stale.mjs when this build was made.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dist = join(import.meta.dirname, '..', 'dist');
chmodSync(join(dist, 'src', 'cli', 'main.js'), 0o755);
writeFileSync(join(dist, '.built'), '');
