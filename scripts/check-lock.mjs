// `npm ci` refuses a lock file that lacks an optional package for any platform, and npm writes such a
// file when the registry in use does not carry them all. Says so here, before a stranger's `npm ci` does.
// Usage: node scripts/check-lock.mjs [--complete]   with --complete the missing entries are added
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const path = join(import.meta.dirname, '..', 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));
const SYSTEMS = ['darwin', 'linux', 'win32', 'freebsd', 'android', 'openharmony'];
const PROCESSORS = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 's390x', 'riscv64', 'loong64', 'wasm32'];

/** Node looks for a package beside whoever wants it, then further up. */
function isLocked(wantedBy, name) {
  for (
    let base = wantedBy;
    ;
    base = base.includes('/node_modules/')
      ? base.replace(/\/node_modules\/(?!.*\/node_modules\/).*$/, '')
      : ''
  ) {
    if (lock.packages[`${base && `${base}/`}node_modules/${name}`]) return true;
    if (!base) return false;
  }
}

function entryFor(name, version, { dev }) {
  const words = name.split('/').at(-1).split('-');
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS.find((processor) => words.includes(processor));
  return {
    version,
    ...(cpu && { cpu: [cpu] }),
    ...(dev && { dev }),
    optional: true,
    ...(os && { os: [os] }),
  };
}

const missing = Object.entries(lock.packages).flatMap(([wantedBy, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isLocked(wantedBy, name))
    .map(([name, version]) => ({ name, entry: entryFor(name, version.replace(/^[~^]/, ''), entry) })),
);

if (missing.length > 0 && process.argv.includes('--complete')) {
  for (const { name, entry } of missing) lock.packages[`node_modules/${name}`] = entry;
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
} else if (missing.length > 0) {
  process.stderr.write(
    `package-lock.json lacks ${missing.map(({ name }) => name).join(', ')}: run node scripts/check-lock.mjs --complete\n`,
  );
  process.exit(1);
}
