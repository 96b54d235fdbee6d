import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import pg from 'pg';
import { eventually } from '../support/eventually.js';
import { Ledger } from '../support/ledger.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { createDatabase } from '../support/test-database.js';
import { dataFolder, VigiaProcess } from '../support/vigia-process.js';

/** The short form runs with every change; CHAOS=full runs the counts that a release needs. */
const FULL = process.env.CHAOS === 'full';
const KILLS = FULL ? 100 : 3;
const STOPS = FULL ? 20 : 2;
const OUTAGE_MS = FULL ? 30_000 : 8_000;

const SECRETS = {
  JWT_SECRET: 'chaos-secret-chaos-secret-chaos-secret',
  SECRETS_KEY: Buffer.alloc(32, 3).toString('base64'),
};

const running: VigiaProcess[] = [];
const folders: string[] = [];

async function start(env: Record<string, string>): Promise<VigiaProcess> {
  const vigia = await VigiaProcess.start(env);
  running.push(vigia);
  return vigia;
}

async function folder(): Promise<string> {
  const made = await dataFolder();
  folders.push(made);
  return made;
}

afterEach(async () => {
  await Promise.all(
    running.splice(0).map((vigia) => (vigia.child.exitCode === null ? vigia.kill('SIGTERM') : vigia.exited)),
  );
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true });
});

async function rowsOf(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

/** Writes users, keys and business samples one after the other until told to stop. */
function writeUntilStopped(
  vigia: VigiaProcess,
  token: string,
  ledgers: { users: Ledger; keys: Ledger; samples: Ledger },
  tag: string,
) {
  let stopped = false;
  const loop = async () => {
    for (let i = 0; !stopped; i++) {
      const id = `${tag}-${i}`;
      await Promise.all([
        ledgers.keys.write(id, () =>
          vigia.call('POST', '/api/v1/api-keys', {
            as: token,
            body: { name: id, role: 'viewer', tier: 'free' },
          }),
        ),
        ledgers.samples.write(`business.${id.replaceAll('-', '_')}`, () =>
          vigia.call('POST', '/api/v1/monitoring/metrics', {
            as: token,
            body: { samples: [{ name: id.replaceAll('-', '_'), value: i }] },
          }),
        ),
        i % 5 === 0 &&
          ledgers.users.write(`${id}@example.com`, () =>
            vigia.call('POST', '/api/v1/users', {
              as: token,
              body: { email: `${id}@example.com`, name: id, role: 'user', password: 'a long password' },
            }),
          ),
      ]);
    }
  };
  const done = loop();
  return async () => {
    stopped = true;
    await done;
  };
}

async function compareAll(
  url: string,
  ledgers: { users: Ledger; keys: Ledger; samples: Ledger },
): Promise<void> {
  const column = async (sql: string) => (await rowsOf(url, sql)).map((row) => String(row.v));
  ledgers.keys.compare(await column(`SELECT name AS v FROM vigia.api_keys`));
  ledgers.users.compare(
    (await column(`SELECT email AS v FROM vigia.users`)).filter((email) => !email.startsWith('admin@')),
  );
  ledgers.samples.compare([
    ...new Set(await column(`SELECT name AS v FROM vigia.metric_series WHERE name LIKE 'business.%'`)),
  ]);
}

const newLedgers = () => ({ users: new Ledger(), keys: new Ledger(), samples: new Ledger() });

describe('a service that is killed', () => {
  it(
    `loses nothing it acknowledged, over ${KILLS} kills in mid-write, and is back within 10 s`,
    async () => {
      const target = await createDatabase();
      const env = { DATABASE_URL: target.url, DATA_DIR: await folder(), ...SECRETS };
      const ledgers = newLedgers();
      for (let round = 0; round < KILLS; round++) {
        const startedMs = performance.now();
        const vigia = await start(env);
        const token = await vigia.signIn();
        expect(performance.now() - startedMs).toBeLessThan(10_000);
        const stop = writeUntilStopped(vigia, token, ledgers, `k${round}`);
        await eventually(() => ledgers.keys.acked.size > (round + 1) * 5, 15_000);
        await vigia.kill('SIGKILL');
        await stop();
      }
      await compareAll(target.url, ledgers);
      expect(ledgers.keys.acked.size).toBeGreaterThan(KILLS * 5);
      await target.drop();
    },
    30_000 + KILLS * 20_000,
  );

  it('adopts its embedded server at the next start, and brings it back when the server is killed', async () => {
    const dataDirectory = await folder();
    const first = await start({ DATA_DIR: dataDirectory });
    const token = await first.signIn();
    const made = await first.call('POST', '/api/v1/api-keys', {
      as: token,
      body: { name: 'kept', role: 'viewer', tier: 'free' },
    });
    expect(made.status).toBe(201);
    await first.kill('SIGKILL');
    const second = await start({ DATA_DIR: dataDirectory });
    const again = await second.signIn();
    process.kill(postmasterOf(dataDirectory), 'SIGKILL');
    await eventually(async () => {
      const { status, body } = await second.call('GET', '/api/v1/api-keys', { as: again });
      return status === 200 && body.items.some((key: { name: string }) => key.name === 'kept');
    }, 20_000);
    await eventually(
      async () => (await second.call('GET', '/api/v1/monitoring/health/ready')).status === 200,
      10_000,
    );
  }, 90_000);
});

/** The server that runs on this data folder, wherever its cluster lies. */
function postmasterOf(dataDirectory: string): number {
  const pointer = readdirSync(dataDirectory).find((name) => name === 'postgres.json');
  const { dataDirectory: cluster } = JSON.parse(readFileSync(`${dataDirectory}/${pointer}`, 'utf8')) as {
    dataDirectory: string;
  };
  return Number(readFileSync(`${cluster}/postmaster.pid`, 'utf8').split('\n')[0]);
}

describe.each(['refuse', 'blackHole'] as const)('a database that is cut off (%s)', (cut) => {
  it(
    `is survived for ${OUTAGE_MS / 1000} s: readiness says so, answers stay quick, no tick is lost, all heals by itself`,
    async () => {
      const target = await createDatabase();
      const upstream = new URL(target.url);
      const proxy = await TcpProxy.start({ host: upstream.hostname, port: Number(upstream.port) });
      const through = new URL(target.url);
      through.port = String(proxy.port);
      const vigia = await start({
        DATABASE_URL: through.href,
        DATA_DIR: await folder(),
        COLLECT_INTERVAL_MS: '3000',
        HEALTH_INTERVAL_MS: '600000',
        ...SECRETS,
      });
      const token = await vigia.signIn();
      await eventually(
        async () => (await rowsOf(target.url, 'SELECT 1 FROM vigia.system_metrics')).length > 1,
        10_000,
      );

      await proxy[cut]();
      const cutMs = performance.now();
      await eventually(
        async () => (await vigia.call('GET', '/api/v1/monitoring/health/ready')).status === 503,
        5_000,
      );
      while (performance.now() - cutMs < OUTAGE_MS) {
        expect((await vigia.call('GET', '/api/v1/monitoring/health/live', { timeoutMs: 1_000 })).status).toBe(
          200,
        );
        const refused = await vigia.call('GET', '/api/v1/users', { as: token, timeoutMs: 5_000 });
        expect([refused.status, refused.body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
        expect(JSON.stringify(refused.body)).not.toMatch(/SELECT|at .*\.js|127\.0\.0\.1/);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }

      await proxy.pass();
      await eventually(
        async () => (await vigia.call('GET', '/api/v1/monitoring/health/ready')).status === 200,
        10_000,
      );
      expect((await vigia.call('GET', '/api/v1/users', { as: token })).status).toBe(200);
      const ticks = async () =>
        (await rowsOf(target.url, 'SELECT at FROM vigia.system_metrics ORDER BY at')).map((row) =>
          (row.at as Date).getTime(),
        );
      await eventually(async () => {
        const stamps = await ticks();
        return (
          Date.now() - stamps.at(-1)! < 6_000 &&
          Math.max(...stamps.slice(1).map((at, i) => at - stamps[i]!)) <= 3_000
        );
      }, 15_000);
      await vigia.kill('SIGTERM');
      await proxy.stop();
      await target.drop();
    },
    60_000 + OUTAGE_MS * 2,
  );
});

describe('a service that is asked to stop', () => {
  it(
    `drops no request that it had accepted, and exits 0 within 15 s, ${STOPS} times under load`,
    async () => {
      const target = await createDatabase();
      const env = {
        DATABASE_URL: target.url,
        DATA_DIR: await folder(),
        SHUTDOWN_DELAY_MS: '500',
        ...SECRETS,
      };
      for (let round = 0; round < STOPS; round++) {
        const vigia = await start(env);
        const token = await vigia.signIn();
        const outcomes = { answered: 0, failed: [] as string[] };
        let balanced = true;
        // Ten clients behind a balancer: it stops sending here once readiness says so, as balancers do.
        const load = Array.from({ length: 10 }, async () => {
          while (balanced) {
            try {
              const { status } = await vigia.call('GET', '/api/v1/users?limit=1', { as: token });
              if (status === 200) outcomes.answered += 1;
              else outcomes.failed.push(String(status));
            } catch (error) {
              outcomes.failed.push(String((error as { cause?: NodeJS.ErrnoException }).cause?.code ?? error));
            }
          }
        });
        await eventually(() => outcomes.answered > 100, 10_000);
        const exit = vigia.kill('SIGTERM');
        const ready = () => vigia.call('GET', '/api/v1/monitoring/health/ready');
        await eventually(async () => (await ready()).status === 503, 1_000);
        balanced = false;
        await Promise.all(load);
        expect(outcomes.failed).toEqual([]);
        expect(await exit).toEqual({ code: 0, signal: null });
      }
      await target.drop();
    },
    30_000 + STOPS * 30_000,
  );

  it('is not held up by sockets that never send a request, or only half of one', async () => {
    const target = await createDatabase();
    const env = { DATABASE_URL: target.url, DATA_DIR: await folder(), SHUTDOWN_DELAY_MS: '0', ...SECRETS };
    const vigia = await start(env);
    const { hostname, port } = new URL(vigia.url);
    const silent = connect(Number(port), hostname);
    const half = connect(Number(port), hostname, () =>
      half.write('POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Le'),
    );
    for (const socket of [silent, half]) socket.on('error', () => undefined);
    await eventually(() => half.bytesWritten > 0 && silent.readyState === 'open');
    const askedMs = performance.now();
    expect(await vigia.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - askedMs).toBeLessThan(3_500);
    await target.drop();
  }, 60_000);

  it('answers a slow request that it had accepted before it stopped listening', async () => {
    const target = await createDatabase();
    const env = { DATABASE_URL: target.url, DATA_DIR: await folder(), SHUTDOWN_DELAY_MS: '0', ...SECRETS };
    const vigia = await start(env);
    const token = await vigia.signIn();
    const locker = new pg.Client({ connectionString: target.url });
    await locker.connect();
    await locker.query('BEGIN');
    await locker.query('LOCK TABLE vigia.users IN ACCESS EXCLUSIVE MODE');
    const slow = vigia.call('GET', '/api/v1/users?limit=1', { as: token });
    await eventually(
      async () => (await rowsOf(target.url, `SELECT 1 FROM pg_locks WHERE NOT granted`)).length > 0,
    );
    const exit = vigia.kill('SIGTERM');
    await eventually(async () => {
      try {
        await fetch(`${vigia.url}/api/v1/monitoring/health/live`);
        return false;
      } catch {
        return true; // refused: it no longer listens
      }
    });
    await locker.query('COMMIT');
    await locker.end();
    expect((await slow).status).toBe(200);
    expect(await exit).toEqual({ code: 0, signal: null });
    await target.drop();
  }, 60_000);
});

describe('a start that cannot succeed', () => {
  const fails = async (env: Record<string, string>) => {
    const vigia = VigiaProcess.spawn(env);
    const { code } = await vigia.exited;
    const lines = vigia.output.split('\n').filter(Boolean);
    // The server that comes along says that it started; beyond that there is one line, and no password.
    const said = lines.filter((line) => !/"msg":"PostgreSQL 18 (started|joined)/.test(line));
    return { code, said, output: vigia.output };
  };

  it('names every fault of the environment at once, and no value', async () => {
    const { code, output } = await fails({
      PORT: 'eighty',
      LOG_LEVEL: 'loud',
      ADMIN_PASSWORD: 'short-pw',
      DATABASE_URL: 'postgres://u:hunter2@h/d',
    });
    expect(code).toBe(1);
    for (const name of ['PORT', 'LOG_LEVEL', 'ADMIN_PASSWORD', 'JWT_SECRET', 'SECRETS_KEY'])
      expect(output).toContain(name);
    expect(output).not.toMatch(/eighty|loud|short-pw|hunter2/);
  }, 30_000);

  it('says that the port is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const { code, said } = await fails({ PORT: String(port), DATA_DIR: await folder() });
    taken.close();
    expect({ code, said }).toEqual({ code: 1, said: [expect.stringContaining(`${port} is in use`)] });
  }, 60_000);

  it('says that the data folder cannot be written', async () => {
    const { code, said } = await fails({ DATA_DIR: '/proc/vigia' });
    expect({ code, said }).toEqual({ code: 1, said: [expect.stringMatching(/\/proc\/vigia/)] });
  }, 30_000);

  it('says that the database was migrated by a newer version', async () => {
    const target = await createDatabase();
    const env = { DATABASE_URL: target.url, DATA_DIR: await folder(), ...SECRETS };
    await (await start(env)).kill('SIGTERM');
    await rowsOf(
      target.url,
      `INSERT INTO vigia.migrations (timestamp, name) VALUES (9999999999999, 'Future9999999999999')`,
    );
    const { code, said } = await fails(env);
    expect({ code, said }).toEqual({ code: 1, said: [expect.stringContaining('Future9999999999999')] });
    await target.drop();
  }, 60_000);

  it('says that the database refuses connections, without its password', async () => {
    const { code, said, output } = await fails({
      DATABASE_URL: 'postgres://vigia:hunter2@127.0.0.1:1/vigia',
      DATABASE_CONNECT_TIMEOUT_MS: '500',
      DATA_DIR: await folder(),
      ...SECRETS,
    });
    expect({ code, said }).toEqual({ code: 1, said: [expect.stringContaining('refuses connections')] });
    expect(output).not.toContain('hunter2');
  }, 30_000);
});
