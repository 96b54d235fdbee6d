// Writes the package that other Nest applications install: one sub-path per module, with Nest, TypeORM
// and the drivers as peers, so that there is one copy of each. Prints the tarball's path.
// Usage: npm run pack:library [-- OUT_FOLDER]
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = join(import.meta.dirname, '..');
// A folder of this name is ours to replace, wherever it is.
const out = join(resolve(process.argv[2] ?? join(root, 'dist')), 'vigia-library');
const PEERS = [/^@nestjs\//, /^typeorm$/, /^pg$/, /^ioredis$/, /^rxjs$/, /^reflect-metadata$/, /^fastify$/];
const COMPILED = ['src', 'migrations'];

const { version, license, engines, dependencies, optionalDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);
const isPeer = (name) => PEERS.some((pattern) => pattern.test(name));
const pick = (wanted, toRange) =>
  Object.fromEntries(
    Object.entries(dependencies)
      .filter(([name]) => isPeer(name) === wanted)
      .map(([name, range]) => [name, toRange(range)]),
  );

const entry = (path) => ({ types: `./${path}.d.ts`, default: `./${path}.js` });
const modules = readdirSync(join(root, 'src', 'modules'));
const manifest = {
  name: 'vigia',
  version,
  license,
  engines,
  type: 'module',
  bin: { vigia: './src/cli/main.js' },
  exports: {
    './core': entry('src/core/index'),
    ...Object.fromEntries(modules.map((name) => [`./${name}`, entry(`src/modules/${name}/index`)])),
  },
  dependencies: pick(false, (range) => range),
  peerDependencies: pick(true, (range) => `^${range}`),
  optionalDependencies,
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const folder of COMPILED)
  cpSync(join(root, 'dist', folder), join(out, folder), {
    recursive: true,
    filter: (path) => !path.endsWith('.map'),
  });
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
execFileSync(
  process.execPath,
  [compiler, '-p', join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', out],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
writeFileSync(join(out, 'package.json'), JSON.stringify(manifest, null, 2));
const [{ filename }] = JSON.parse(
  execFileSync('npm', ['pack', '--json', '--silent'], {
    cwd: out,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }),
);
process.stdout.write(`${join(out, filename)}\n`);
