import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  access,
  chmod,
  chown,
  cp,
  mkdir,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { packageFolder, prepareBinaries } from '../../src/database/embedded-postgres/binaries.js';
import { systemClusterDirectory } from '../../src/database/embedded-postgres/layout.js';
import { obtainPassword } from '../../src/database/embedded-postgres/password.js';
import { MAX_LOG_BYTES } from '../../src/database/embedded-postgres/server-log.js';
import { NOBODY } from '../../src/database/embedded-postgres/server-user.js';
import {
  Bench,
  ORDINARY_UID,
  ask,
  eventually,
  isRoot,
  killServer,
  livePostmaster,
  portOf,
} from '../support/embedded-postgres.js';

let bench: Bench;
/** DATA_DIR of the test; does not exist yet. */
let dataDirectory: string;

beforeEach(async () => {
  bench = new Bench();
  dataDirectory = join(await bench.folder(), 'data');
});
afterEach(() => bench.cleanUp());

/** What only root can try: other users, closed folders. An ordinary user's run has the other tests. */
const itAsRoot = isRoot ? it : it.skip;

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const setting = async (url: string, name: string) => (await ask(url, `SHOW ${name}`))[name];

describe('a new database', () => {
  it('gets durable and bounded settings, and listens on the loopback address only', async () => {
    const { url, adopted } = await bench.start({ dataDirectory });
    expect(adopted).toBe(false);
    const shown = [
      'max_connections',
      'shared_buffers',
      'work_mem',
      'wal_keep_size',
      'fsync',
      'synchronous_commit',
      'full_page_writes',
      'data_checksums',
      'listen_addresses',
      'unix_socket_directories',
      'password_encryption',
    ];
    const values = await Promise.all(shown.map((name) => setting(url, name)));
    expect(Object.fromEntries(shown.map((name, i) => [name, values[i]]))).toEqual({
      max_connections: '200',
      shared_buffers: '256MB',
      work_mem: '32MB',
      wal_keep_size: '512MB',
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      data_checksums: 'on',
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      password_encryption: 'scram-sha-256',
    });
  });

  it('sorts by code point and yet knows the case of all letters', async () => {
    const { url } = await bench.start({ dataDirectory });
    expect(
      await ask(
        url,
        `SELECT lower('ÄŁ') AS lower, 'Z' < 'a' AS by_code_point, current_database() AS name, current_user AS role`,
      ),
    ).toEqual({ lower: 'äł', by_code_point: true, name: 'vigia', role: 'vigia' });
  });

  it('lets in who has the password, which only the owner can read', async () => {
    const { url } = await bench.start({ dataDirectory });
    expect(await modeOf(join(dataDirectory, 'secrets'))).toBe(0o700);
    expect(await modeOf(join(dataDirectory, 'secrets', 'postgres-password'))).toBe(0o600);
    expect(url).toContain(
      (await readFile(join(dataDirectory, 'secrets', 'postgres-password'), 'utf8')).trim(),
    );
    const guess = Object.assign(new URL(url), { password: 'guess' });
    await expect(ask(guess.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(JSON.stringify(bench.logged)).not.toContain(new URL(url).password);
  });

  it('keeps rows, port and password over a stop and a start', async () => {
    const first = await bench.start({ dataDirectory });
    await ask(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    expect(await livePostmaster(first.clusterDirectory)).toBeUndefined();
    const second = await bench.start({ dataDirectory });
    expect(second).toMatchObject({ url: first.url, adopted: false });
    expect(await ask(second.url, 'SELECT answer FROM kept')).toEqual({ answer: 42 });
  });

  it('is served without the secrets of our environment', async () => {
    process.env.VIGIA_TEST_SECRET = 'hush';
    try {
      const { clusterDirectory } = await bench.start({ dataDirectory });
      const environment = await readFile(`/proc/${await livePostmaster(clusterDirectory)}/environ`, 'utf8');
      expect(environment).toContain('LC_ALL=C');
      expect(environment).not.toContain('hush');
    } finally {
      delete process.env.VIGIA_TEST_SECRET;
    }
  });

  it('is remembered with its place, port and version', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    expect(clusterDirectory).toBe(join(dataDirectory, 'postgres'));
    const remembered: unknown = JSON.parse(await readFile(join(dataDirectory, 'postgres.json'), 'utf8'));
    expect(remembered).toEqual({ dataDirectory: clusterDirectory, port: portOf(url), major: 18 });
  });

  it('takes more settings from the caller', async () => {
    const { url } = await bench.start({ dataDirectory, settings: { fsync: 'off', work_mem: '4MB' } });
    expect(await setting(url, 'fsync')).toBe('off');
    expect(await setting(url, 'work_mem')).toBe('4MB');
  });

  it('sweeps away what a killed start left, but not what another start is making', async () => {
    const [old, recent] = [
      join(dataDirectory, 'postgres.new-old'),
      join(dataDirectory, 'postgres.new-recent'),
    ];
    await Promise.all([old, recent].map((path) => mkdir(path, { recursive: true })));
    const longAgo = new Date(Date.now() - 11 * 60_000);
    await utimes(old, longAgo, longAgo);
    await bench.start({ dataDirectory });
    expect((await readdir(dataDirectory)).filter((name) => name.includes('.new-'))).toEqual([
      'postgres.new-recent',
    ]);
  });
});

describe('several processes', () => {
  it('make one server when they start at once, and only the last to leave stops it', async () => {
    const children = Array.from({ length: 4 }, () => bench.spawn({ dataDirectory }));
    const started = await Promise.all(children.map((child) => child.until('started')));
    expect(new Set(started.map((each) => each.url)).size).toBe(1);
    expect(started.filter((each) => !each.adopted)).toHaveLength(1);
    const { url, clusterDirectory } = started[0]!;
    const pid = await livePostmaster(clusterDirectory);
    for (const child of children.slice(1)) await child.stop();
    expect(await livePostmaster(clusterDirectory)).toBe(pid);
    await ask(url, 'SELECT 1');
    await children[0]!.stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
    expect((await readdir(dataDirectory)).sort()).toEqual([
      'postgres',
      'postgres.json',
      'postgres.log',
      'secrets',
    ]);
  });

  it('agree on one password', async () => {
    const file = join(dataDirectory, 'secrets', 'postgres-password');
    await mkdir(dataDirectory);
    const obtained: Promise<string>[] = [];
    for (let nth = 0; nth < 50; nth++) {
      obtained.push(obtainPassword(file, join(dataDirectory, 'postgres')));
      await nextTurn(); // One after the other, so that late ones still look while early ones have finished.
    }
    expect(new Set(await Promise.all(obtained)).size).toBe(1);
    expect(await readdir(join(dataDirectory, 'secrets'))).toEqual(['postgres-password']);
  });

  it('leave none behind when they stop at once', async () => {
    const children = Array.from({ length: 4 }, () => bench.spawn({ dataDirectory }));
    const [first] = await Promise.all(children.map((child) => child.until('started')));
    await Promise.all(children.map((child) => child.stop()));
    expect(await livePostmaster(first!.clusterDirectory)).toBeUndefined();
    expect(children.flatMap((child) => [...child.logs('warn'), ...child.logs('error')])).toEqual([]);
  });

  it('may stop twice', async () => {
    const postgres = await bench.start({ dataDirectory });
    await Promise.all([postgres.stop(), postgres.stop()]);
    await postgres.stop();
    expect(bench.logged.filter(({ message }) => message === 'PostgreSQL stopped')).toHaveLength(1);
  });
});

describe('the port', () => {
  it('is chosen anew, and remembered, when another program took it while we were away', async () => {
    const first = await bench.start({ dataDirectory });
    await first.stop();
    const squatter = createServer().listen(portOf(first.url), '127.0.0.1').unref();
    await once(squatter, 'listening');
    const second = await bench.start({ dataDirectory });
    expect(portOf(second.url)).not.toBe(portOf(first.url));
    expect(await ask(second.url, 'SELECT 1 AS one')).toEqual({ one: 1 });
    expect(await readFile(join(dataDirectory, 'postgres.json'), 'utf8')).toContain(
      `"port": ${portOf(second.url)}`,
    );
    squatter.close();
  });
});

describe('a start that cannot succeed says why in one line', () => {
  const oneLine = /^[^\n]+$/;

  it('when the data is of another major version, and names the runbook', async () => {
    const { stop, clusterDirectory } = await bench.start({ dataDirectory });
    await stop();
    await writeFile(join(clusterDirectory, 'PG_VERSION'), '17\n');
    const error = await bench.failure({ dataDirectory });
    expect(error).toMatchObject({ code: 'WRONG_MAJOR', message: expect.stringMatching(oneLine) as string });
    const runbook = /docs\/operations\/[a-z-]+\.md/.exec(error.message)?.[0];
    expect(runbook).toBe('docs/operations/upgrade-embedded-postgresql.md');
  });

  it('when the password file is lost, and makes no other password', async () => {
    const { stop, clusterDirectory } = await bench.start({ dataDirectory });
    await stop();
    const file = join(dataDirectory, 'secrets', 'postgres-password');
    await unlink(file);
    const error = await bench.failure({ dataDirectory });
    expect(error).toMatchObject({ code: 'PASSWORD_LOST', message: expect.stringMatching(oneLine) as string });
    expect(error.message).toContain(file);
    expect(error.message).toContain(clusterDirectory);
    await expect(access(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('when the password is another one', async () => {
    const { stop } = await bench.start({ dataDirectory });
    await stop();
    await writeFile(join(dataDirectory, 'secrets', 'postgres-password'), 'other');
    expect(await bench.failure({ dataDirectory })).toMatchObject({ code: 'PASSWORD_REJECTED' });
  });

  it('when DATA_DIR is a file', async () => {
    await writeFile(dataDirectory, '');
    const error = await bench.failure({ dataDirectory });
    expect(error).toMatchObject({
      code: 'DATA_DIR_UNUSABLE',
      message: expect.stringMatching(oneLine) as string,
    });
    expect(error.message).toContain(dataDirectory);
  });

  it('when the remembered data folder is gone, instead of beginning with an empty one', async () => {
    const { stop, clusterDirectory } = await bench.start({ dataDirectory });
    await stop();
    await rename(clusterDirectory, `${clusterDirectory}-away`);
    expect(await bench.failure({ dataDirectory })).toMatchObject({ code: 'DATA_MISSING' });
    await rename(`${clusterDirectory}-away`, clusterDirectory);
    expect((await bench.start({ dataDirectory })).adopted).toBe(false);
  });

  it("when the server refuses its settings, in the server's own words, without trying for 20 s", async () => {
    const began = performance.now();
    const error = await bench.failure({ dataDirectory, settings: { work_mem: 'plenty' } });
    expect(error).toMatchObject({ code: 'START_FAILED', message: expect.stringMatching(oneLine) as string });
    expect(error.message).toContain('invalid value for parameter "work_mem": "plenty"');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('when the programs cannot be run', async () => {
    const packageDirectory = join(dataDirectory, '..', 'package');
    await mkdir(join(packageDirectory, 'native', 'bin'), { recursive: true });
    await writeFile(
      join(packageDirectory, 'native', 'bin', 'postgres'),
      '#!/bin/sh\necho broken library >&2; exit 1\n',
      { mode: 0o755 },
    );
    const error = await bench.failure({ dataDirectory, packageDirectory });
    expect(error).toMatchObject({
      code: 'BINARIES_UNUSABLE',
      message: expect.stringMatching(oneLine) as string,
    });
    expect(error.message).toContain('broken library');
  });

  itAsRoot('when DATA_DIR belongs to somebody else', async () => {
    await mkdir(dataDirectory);
    const packageDirectory = await copyPackage();
    const child = bench.spawn({ dataDirectory, packageDirectory }, ORDINARY_UID);
    const { code, message } = await child.until('failed');
    expect({ code, message }).toEqual({
      code: 'DATA_DIR_UNUSABLE',
      message: expect.stringMatching(oneLine) as string,
    });
    expect(message).toContain(dataDirectory);
  });

  itAsRoot('when root made the database and an ordinary user starts it', async () => {
    const { stop } = await bench.start({ dataDirectory });
    await stop();
    await chmod(dataDirectory, 0o777);
    const child = bench.spawn({ dataDirectory, packageDirectory: await copyPackage() }, ORDINARY_UID);
    expect((await child.until('failed')).code).toBe('WRONG_OWNER');
  });
});

describe("the server's log", () => {
  it('is bounded, and the running server writes on at its new end', async () => {
    const { url } = await bench.start({ dataDirectory });
    const log = join(dataDirectory, 'postgres.log');
    await truncate(log, MAX_LOG_BYTES + 1);
    await bench.spawn({ dataDirectory }).until('started');
    expect((await stat(`${log}.1`)).size).toBeGreaterThan(MAX_LOG_BYTES);
    await ask(url, 'CHECKPOINT');
    const text = await eventually('a log line', async () => (await readFile(log, 'utf8')) || undefined);
    expect(text).toMatch(/^\d{4}-/);
    expect((await stat(log)).size).toBeLessThan(10_000);
  });

  it("does not carry users' data", async () => {
    const { url } = await bench.start({ dataDirectory });
    await ask(url, 'CREATE TABLE people (email text PRIMARY KEY)');
    await ask(url, "INSERT INTO people VALUES ('ann@example.com')");
    await expect(ask(url, "INSERT INTO people VALUES ('ann@example.com')")).rejects.toMatchObject({
      code: '23505',
    });
    const log = await eventually('the error', async () => {
      const text = await readFile(join(dataDirectory, 'postgres.log'), 'utf8');
      return text.includes('duplicate key') && text;
    });
    expect(log).not.toContain('ann@example.com');
  });
});

describe('what a dead server left', () => {
  it('does not block the next one when its process number now belongs to somebody else', async () => {
    const { clusterDirectory, user } = await diedServer();
    const stranger = spawn('sleep', ['60'], { ...user, stdio: 'ignore' });
    try {
      const file = join(clusterDirectory, 'postmaster.pid');
      const lines = (await readFile(file, 'utf8')).split('\n');
      await writeFile(file, [stranger.pid, ...lines.slice(1)].join('\n'));
      const { url } = await bench.start({ dataDirectory });
      expect(await ask(url, 'SELECT answer FROM kept')).toEqual({ answer: 42 });
    } finally {
      stranger.kill();
    }
  });

  async function diedServer() {
    const child = bench.spawn({ dataDirectory });
    const { url, clusterDirectory } = await child.until('started');
    await ask(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await child.kill();
    await killServer(clusterDirectory);
    const { uid, gid } = await stat(clusterDirectory);
    return { clusterDirectory, user: isRoot ? { uid, gid } : {} };
  }
});

describe('an ordinary user', () => {
  itAsRoot('starts, joins, keeps and stops a database', async () => {
    await mkdir(dataDirectory);
    await chown(dataDirectory, ORDINARY_UID, ORDINARY_UID);
    const options = { dataDirectory, packageDirectory: await copyPackage() };
    const first = bench.spawn(options, ORDINARY_UID);
    const { url, clusterDirectory } = await first.until('started');
    expect((await stat(clusterDirectory)).uid).toBe(ORDINARY_UID);
    expect(await modeOf(join(dataDirectory, 'secrets', 'postgres-password'))).toBe(0o600);
    const second = bench.spawn(options, ORDINARY_UID);
    expect(await second.until('started')).toMatchObject({ url, adopted: true });
    await first.stop();
    await second.stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
  });

  itAsRoot('whose database root starts keeps it: it runs as its owner', async () => {
    await mkdir(dataDirectory, { mode: 0o700 });
    await chown(dataDirectory, ORDINARY_UID, ORDINARY_UID);
    const packageDirectory = await copyPackage();
    const child = bench.spawn({ dataDirectory, packageDirectory }, ORDINARY_UID);
    const { url } = await child.until('started');
    await child.stop();
    const { stop } = await bench.start({ dataDirectory });
    await stop();
    const again = bench.spawn({ dataDirectory, packageDirectory }, ORDINARY_UID);
    expect((await again.until('started')).url).toBe(url);
  });

  itAsRoot('copies programs that cannot be completed in a read-only node_modules', async () => {
    await mkdir(dataDirectory);
    await chown(dataDirectory, ORDINARY_UID, ORDINARY_UID);
    const packageDirectory = await copyPackage();
    await removeLinks(packageDirectory);
    const child = bench.spawn({ dataDirectory, packageDirectory }, ORDINARY_UID);
    await child.until('started');
    expect((await readdir(dataDirectory)).filter((name) => name.startsWith('postgresql-'))).toHaveLength(1);
    expect(await readdir(join(packageDirectory, 'native', 'lib'))).not.toContain('libpq.so.5');
  });
});

describe('root with DATA_DIR below a closed home', () => {
  const closedHome = async () => {
    const systemDirectory = join(await bench.folder(), 'system');
    return { systemDirectory, dataDirectory: join(await bench.folder(0o700), 'data') };
  };

  itAsRoot('keeps the database in the system folder, and the password at home', async () => {
    const options = await closedHome();
    const { clusterDirectory, url, stop } = await bench.start(options);
    expect(clusterDirectory).toBe(systemClusterDirectory(options.dataDirectory, options.systemDirectory));
    expect((await stat(clusterDirectory)).uid).toBe(NOBODY.uid);
    expect(await readFile(join(options.dataDirectory, 'postgres.json'), 'utf8')).toContain(clusterDirectory);
    expect((await readdir(options.dataDirectory)).sort()).toEqual([
      'postgres.json',
      'postgres.log',
      'secrets',
    ]);
    await stop();
    expect((await bench.start(options)).url).toBe(url);
  });

  itAsRoot('runs the programs of a checkout there from a copy that only root can write', async () => {
    const options = await closedHome();
    const packageDirectory = await copyPackage(await bench.folder(0o700));
    const children = [1, 2].map(() => bench.spawn({ ...options, packageDirectory }));
    await Promise.all(children.map((child) => child.until('started')));
    const copies = (await readdir(options.systemDirectory)).filter((name) => name.startsWith('postgresql-'));
    expect(copies).toHaveLength(1);
    const copy = await stat(join(options.systemDirectory, copies[0]!, 'bin', 'postgres'));
    expect([copy.uid, copy.mode & 0o777]).toEqual([0, 0o755]);
  });

  itAsRoot('finds the database when the home was moved, and refuses to share it with a copy', async () => {
    const { systemDirectory, dataDirectory } = await closedHome();
    const { stop, url } = await bench.start({ systemDirectory, dataDirectory });
    await stop();
    const moved = `${dataDirectory}-moved`;
    await cp(dataDirectory, moved, { recursive: true });
    expect(await bench.failure({ systemDirectory, dataDirectory: moved })).toMatchObject({
      code: 'DATA_SHARED',
    });
    await rm(dataDirectory, { recursive: true });
    expect((await bench.start({ systemDirectory, dataDirectory: moved })).url).toBe(url);
  });

  itAsRoot('works under umask 077', async () => {
    const before = process.umask(0o077);
    try {
      const options = await closedHome();
      const packageDirectory = await copyPackage(await bench.folder(0o700));
      expect((await bench.start({ ...options, packageDirectory })).adopted).toBe(false);
    } finally {
      process.umask(before);
    }
  });

  itAsRoot('says which folder to open when a database below DATA_DIR has become unreachable', async () => {
    const { stop } = await bench.start({ dataDirectory });
    await stop();
    const home = join(dataDirectory, '..');
    await chmod(home, 0o700);
    const error = await bench.failure({ dataDirectory });
    expect(error).toMatchObject({ code: 'DATA_UNREACHABLE' });
    expect(error.message).toContain(`chmod o+x ${home}`);
  });
});

describe('the programs', () => {
  const user = isRoot ? NOBODY : undefined;

  it('work when the links of their libraries were never made', async () => {
    const packageDirectory = await copyPackage();
    await removeLinks(packageDirectory);
    const { postgres, major } = await prepareBinaries(packageDirectory, await bench.folder(), user);
    expect({ postgres, major }).toEqual({
      postgres: join(packageDirectory, 'native', 'bin', 'postgres'),
      major: 18,
    });
  });

  itAsRoot('are copied again when the copy is broken', async () => {
    const [packageDirectory, copies] = [await copyPackage(await bench.folder(0o700)), await bench.folder()];
    const { postgres } = await prepareBinaries(packageDirectory, copies, user);
    await truncate(postgres, 1_000);
    expect((await prepareBinaries(packageDirectory, copies, user)).postgres).toBe(postgres);
    expect(await readdir(copies)).toHaveLength(1);
  });
});

/** The installed programs in a place of their own that everybody can read. */
async function copyPackage(folder?: string): Promise<string> {
  const copy = join(folder ?? (await bench.folder()), 'package');
  await promisify(execFile)('cp', ['-a', packageFolder(), copy]);
  return copy;
}

async function removeLinks(packageDirectory: string): Promise<void> {
  const library = join(packageDirectory, 'native', 'lib');
  const entries = await readdir(library, { withFileTypes: true });
  await Promise.all(
    entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => unlink(join(library, name))),
  );
}
