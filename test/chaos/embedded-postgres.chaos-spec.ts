import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { LockSession } from '../../src/database/embedded-postgres/lock-session.js';
import { Bench, ask, eventually, killServer, livePostmaster, portOf } from '../support/embedded-postgres.js';

let bench: Bench;
let dataDirectory: string;

beforeEach(async () => {
  bench = new Bench();
  dataDirectory = join(await bench.folder(), 'data');
});
afterEach(() => bench.cleanUp());

const sessions = async (url: string) =>
  Number((await ask(url, "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted")).n);

/** The answer of a server that may be about to come back. */
const askUntilAnswered = (url: string, sql: string) =>
  eventually('an answer', () => ask(url, sql).catch(() => undefined));

describe('the application is killed', () => {
  it('and the next start adopts the server that lives on, with all rows', async () => {
    const child = bench.spawn({ dataDirectory });
    const { url, clusterDirectory } = await child.until('started');
    await ask(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = await livePostmaster(clusterDirectory);
    await child.kill();
    const next = await bench.start({ dataDirectory });
    expect(next).toMatchObject({ adopted: true, url });
    expect(await livePostmaster(clusterDirectory)).toBe(pid);
    expect(await ask(url, 'SELECT answer FROM kept')).toEqual({ answer: 42 });
  });

  it('and does not count as a user of the server any more', async () => {
    const child = bench.spawn({ dataDirectory });
    const { clusterDirectory } = await child.until('started');
    const other = await bench.start({ dataDirectory });
    await child.kill();
    await other.stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
  });

  it('while it makes its first database, and the next start makes a whole one', async () => {
    const child = bench.spawn({ dataDirectory });
    await eventually('initdb', async () =>
      (await filesOf(dataDirectory)).some((name) => name.includes('.new-')),
    );
    await child.kill();
    const { url } = await bench.start({ dataDirectory });
    expect(await ask(url, 'SELECT 1 AS one')).toEqual({ one: 1 });
  });

  it('together with the server, and the next start recovers every acknowledged row', async () => {
    const child = bench.spawn({ dataDirectory });
    const { url, clusterDirectory } = await child.until('started');
    await ask(url, 'CREATE TABLE counted (n int)');
    for (let n = 1; n <= 50; n++) await ask(url, 'INSERT INTO counted VALUES ($1)', [n]);
    await Promise.all([child.kill(), killServer(clusterDirectory)]);
    const next = await bench.start({ dataDirectory });
    expect(next).toMatchObject({ adopted: false, url });
    expect(await ask(url, 'SELECT count(*)::int AS n, max(n) FROM counted')).toEqual({ n: 50, max: 50 });
  });
});

describe('the server is killed', () => {
  it('and is restarted on its port; the pools of the application find it again', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    const pool = new Pool({ connectionString: url });
    pool.on('error', () => undefined); // Idle connections die with the server.
    await pool.query('CREATE TABLE kept AS SELECT 42 AS answer');
    const killed = await killServer(clusterDirectory);
    const answered = await eventually('a new server', () =>
      pool.query('SELECT answer FROM kept').catch(() => undefined),
    );
    expect(answered.rows).toEqual([{ answer: 42 }]);
    expect(await livePostmaster(clusterDirectory)).not.toBe(killed);
    await pool.end();
    await eventually('the log line', () =>
      bench.logged.some(({ message }) => message === `PostgreSQL is restarted on port ${portOf(url)}`),
    );
    expect(bench.logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('and its user holds his place again: another one that leaves does not stop it', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    await killServer(clusterDirectory);
    await eventually('the lock', async () => (await sessions(url).catch(() => 0)) === 1);
    const child = bench.spawn({ dataDirectory });
    expect(await child.until('started')).toMatchObject({ adopted: true });
    await child.stop();
    expect(await sessions(url)).toBe(1);
  });

  it('under three processes, which all go on with one new server, several times', async () => {
    const children = Array.from({ length: 3 }, () => bench.spawn({ dataDirectory }));
    const [first] = await Promise.all(children.map((child) => child.until('started')));
    const { url, clusterDirectory } = first!;
    for (let round = 1; round <= 3; round++) {
      await killServer(clusterDirectory);
      await eventually('three locks', async () => (await sessions(url).catch(() => 0)) === 3);
    }
    for (const child of children) await child.stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
    expect(children.flatMap((child) => child.logs('error'))).toEqual([]);
  });

  it('and its user leaves while it restarts: it is stopped as soon as it has come up', async () => {
    const { stop, clusterDirectory } = await bench.start({ dataDirectory });
    await killServer(clusterDirectory);
    await eventually('the restart', () => livePostmaster(clusterDirectory));
    await stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
    expect(bench.logged.at(-1)?.message).toBe('PostgreSQL stopped');
  });

  it('and its user leaves at once: nothing is left running, also not a moment later', async () => {
    const { stop, clusterDirectory } = await bench.start({ dataDirectory });
    await killServer(clusterDirectory);
    await stop();
    await sleep(1_000); // A restart takes 0.3 s; there is no event to wait for when nothing happens.
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
  });

  it('and cannot come back: each failure is told with its reason, ever more slowly, until it can', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    const pid = (await livePostmaster(clusterDirectory))!;
    // Waits for the port without a gap, so that the restart never gets it.
    const squatter = createServer().unref();
    process.kill(pid, 'SIGKILL');
    await eventually('the port', () => occupy(squatter, portOf(url)));
    const reasons = () => bench.logged.filter(({ message }) => message.includes('another program listens'));
    await eventually('three failures', () => reasons().length >= 3);
    const waits = reasons().map(({ message }) => Number(/in (\d+) ms/.exec(message)?.[1]));
    expect(waits.slice(1, 3)).toEqual([waits[0]! * 2, waits[0]! * 4]);
    squatter.close();
    expect(await askUntilAnswered(url, 'SELECT 1 AS one')).toEqual({ one: 1 });
  });

  it('only in one of its sessions: it heals itself and every user holds his place again', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    const { pid } = await ask(url, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
    const postmaster = await livePostmaster(clusterDirectory);
    process.kill(Number(pid), 'SIGKILL');
    await eventually('the news', () => bench.logged.some(({ level }) => level === 'warn'));
    await eventually('the lock', async () => (await sessions(url).catch(() => 0)) === 1);
    expect(await livePostmaster(clusterDirectory)).toBe(postmaster);
  });
});

describe('the session that holds the place is ended', () => {
  it('and is opened again on the same server', async () => {
    const { url, clusterDirectory } = await bench.start({ dataDirectory });
    const pid = await livePostmaster(clusterDirectory);
    await ask(
      url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigia supervisor'",
    );
    await eventually('the news', () =>
      bench.logged.some(({ message }) => message.startsWith('PostgreSQL is back')),
    );
    expect(await sessions(url)).toBe(1);
    expect(await livePostmaster(clusterDirectory)).toBe(pid);
  });
});

describe('a start that meets a stop', () => {
  it('waits until the server is gone and starts it again, at whatever moment they meet', async () => {
    let leaving = bench.spawn({ dataDirectory });
    const { url, clusterDirectory } = await leaving.until('started');
    for (let round = 0; round < 12; round++) {
      const coming = bench.spawn({ dataDirectory });
      await sleep(60 + round * 15); // Sweeps the stop over the whole of the start, which takes about 0.2 s.
      leaving.tellToStop();
      await Promise.all([coming.until('started'), leaving.until('stopped')]);
      expect(await sessions(url)).toBe(1);
      leaving = coming;
    }
    await leaving.stop();
    expect(await livePostmaster(clusterDirectory)).toBeUndefined();
  });

  it('waits for who is about to stop it, and joins when that one changes his mind', async () => {
    const stopper = await exclusiveHolder();
    const child = bench.spawn({ dataDirectory });
    await sleep(1_500); // Much longer than a start takes.
    expect(child.events).toEqual([]);
    await stopper.close();
    expect(await child.until('started')).toMatchObject({ adopted: true });
  });

  it('gives up after 20 s with the reason', async () => {
    const stopper = await exclusiveHolder();
    const beganAt = performance.now();
    const child = bench.spawn({ dataDirectory });
    const { code, message } = await child.until('failed');
    expect({ code, message }).toEqual({
      code: 'NOT_READY',
      message: expect.stringContaining('another process is stopping its server') as string,
    });
    expect(performance.now() - beganAt).toBeGreaterThan(19_000);
    await stopper.close();
  });

  /** A process that has the exclusive lock, but does not come to stop the server. */
  async function exclusiveHolder(): Promise<LockSession> {
    const child = bench.spawn({ dataDirectory });
    const { url } = await child.until('started');
    const holder = await LockSession.open(
      portOf(url),
      (await readFile(join(dataDirectory, 'secrets', 'postgres-password'), 'utf8')).trim(),
    );
    await child.kill();
    await eventually('the exclusive lock', () => holder.exchangeForExclusive());
    return holder;
  }
});

async function filesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function occupy(squatter: ReturnType<typeof createServer>, port: number): Promise<boolean> {
  squatter.listen(port, '127.0.0.1');
  return Promise.race([
    once(squatter, 'listening').then(() => true),
    new Promise<boolean>((resolve) => squatter.once('error', () => resolve(false))),
  ]).catch(() => false);
}
