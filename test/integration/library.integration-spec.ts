import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createDatabase } from '../support/test-database.js';

const ROOT = process.cwd();

/** Ten lines of somebody else's application. */
const foreignApp = (imports: string, modules: string) => `
  import 'reflect-metadata';
  import { Module } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import { FastifyAdapter } from '@nestjs/platform-fastify';
  ${imports}
  class AppModule {}
  Module({ imports: [${modules}] })(AppModule);
  const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error'], abortOnError: false });
  await app.listen(0, '127.0.0.1');
  const answer = await fetch((await app.getUrl()) + '/monitoring/metrics/current');
  console.log('status ' + answer.status);
  await app.close();
`;

describe('the packed library', () => {
  let folder: string;
  let target: Awaited<ReturnType<typeof createDatabase>>;

  beforeAll(async () => {
    target = await createDatabase();
    folder = mkdtempSync(join(tmpdir(), 'vigia-library-'));
    const printed = execFileSync(process.execPath, ['scripts/pack-library.mjs', join(folder, 'packed')], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const unpacked = join(folder, 'node_modules', 'vigia');
    mkdirSync(unpacked, { recursive: true });
    execFileSync('tar', ['-xzf', printed.trim().split('\n').at(-1)!, '-C', unpacked, '--strip-components=1']);
    linkDeclared(unpacked, folder);
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  }, 180_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await target.drop();
  });

  it('boots in a foreign application on its own database, and refuses callers until an authenticator is given', async () => {
    const { code, output } = await boot(
      foreignApp(
        `import { CoreModule } from 'vigia/core';\nimport { MonitoringModule } from 'vigia/monitoring';`,
        `CoreModule.forRoot({ database: { url: process.env.FOREIGN_DATABASE_URL } }), MonitoringModule.forRoot({ http: true })`,
      ),
    );
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('status 401') });
  }, 60_000);

  it('says in one line what a module that needs a database lacks', async () => {
    const { code, output } = await boot(
      foreignApp(
        `import { CoreModule } from 'vigia/core';\nimport { MonitoringModule } from 'vigia/monitoring';`,
        `CoreModule.forRoot(), MonitoringModule.forRoot()`,
      ),
    );
    expect(code).not.toBe(0);
    expect(output).toContain('MonitoringModule needs CoreModule.forRoot({ database: { url } })');
  }, 60_000);

  it('declares its types on every sub-path', () => {
    const { exports } = JSON.parse(
      readFileSync(join(folder, 'node_modules', 'vigia', 'package.json'), 'utf8'),
    ) as { exports: Record<string, { types: string }> };
    for (const { types } of Object.values(exports))
      expect(readFileSync(join(folder, 'node_modules', 'vigia', types), 'utf8')).not.toBe('');
  });

  function boot(source: string): Promise<{ code: number | null; output: string }> {
    writeFileSync(join(folder, 'app.mjs'), source);
    const child = spawn(process.execPath, ['app.mjs'], {
      cwd: folder,
      env: { ...process.env, FOREIGN_DATABASE_URL: target.url },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (output += bytes));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
  }
});

/** Exactly what the package declares is there beside it, so an undeclared import fails. */
function linkDeclared(unpacked: string, folder: string): void {
  const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'peerDependencies',
    Record<string, string>
  >;
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
}
