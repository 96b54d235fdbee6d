import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { OutsideWatcher } from '../../src/modules/monitoring/checks/outside-watcher.js';
import { OutsideChecksStore } from '../../src/modules/monitoring/checks/stores/outside-checks.store.js';
import { CheckRunner } from '../../src/modules/monitoring/health/check-runner.js';
import { openDatabase } from '../../src/core/database/open-database.js';
import type { Database } from '../../src/core/index.js';
import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { createDatabase } from '../support/test-database.js';

const base = '/api/v1/monitoring';

describe('outside checks on a single instance', () => {
  let proxy: TcpProxy;
  let direct: Database;
  let test: TestApp;
  let drop: () => Promise<void>;
  let target: Server;
  let port: number;
  beforeAll(async () => {
    target = createServer((socket) => socket.on('error', () => undefined));
    await once(target.listen(0, '127.0.0.1'), 'listening');
    port = (target.address() as AddressInfo).port;
    const database = await createDatabase();
    drop = database.drop;
    const url = new URL(database.url);
    proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) });
    direct = await openDatabase({ url: database.url });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const env = { HEALTH_INTERVAL_MS: '1000', CHECK_ALLOWED_CIDRS: '127.0.0.1/32', INSTANCE_ID: 'only' };
    test = await buildApp(env, { url: url.href });
  });
  afterAll(async () => {
    await test.close();
    await direct.close();
    await proxy.stop();
    await drop();
    target.close();
  });

  const body = (name: string) => ({
    ...{ name, kind: 'tcp', target: `127.0.0.1:${port}`, intervalMs: 1_000, timeoutMs: 500 },
  });
  const make = async (name: string) =>
    (await test.request('POST', `${base}/checks`, { as: test.adminToken, body: body(name) })).body as {
      id: string;
    };
  const status = (name: string) => test.app.get(CheckRunner).viewOf(`check:${name}`)?.status;
  const rows = () =>
    direct.query<{ status: string; ended: boolean }>(
      `SELECT status, ended_at IS NOT NULL AS ended FROM vigia.component_status
       WHERE component = 'check:target' ORDER BY started_at`,
    );

  it('go on while PostgreSQL is away longer than the lease lasts, and record what went down meanwhile', async () => {
    const watcher = test.app.get(OutsideWatcher);
    await eventually(() => watcher.isLeader, 10_000);
    await make('target');
    await eventually(() => status('target') === 'up', 10_000);
    await eventually(async () => (await rows()).length === 1, 10_000);
    const [before] = await direct.query<{ token: string }>(
      `SELECT token FROM vigia.leases WHERE name = 'outside-checks'`,
    );

    await proxy.refuse();
    await eventually(() => !watcher.isLeader, 10_000);
    await direct.execute(
      `UPDATE vigia.leases SET expires_at = clock_timestamp() - interval '1 second' WHERE name = 'outside-checks'`,
    );
    target.close();
    await eventually(() => status('target') === 'down', 10_000);
    await once(target.listen(port, '127.0.0.1'), 'listening');
    await eventually(() => status('target') === 'up', 10_000);
    await proxy.pass();
    await eventually(() => watcher.isLeader, 20_000);
    const [after] = await direct.query<{ token: string }>(
      `SELECT token FROM vigia.leases WHERE name = 'outside-checks'`,
    );
    expect(Number(after!.token)).toBe(Number(before!.token) + 1); // expired, and nobody else had it

    await eventually(async () => (await rows()).length === 3, 10_000);
    expect(await rows()).toEqual([
      { status: 'up', ended: true },
      { status: 'down', ended: true },
      { status: 'up', ended: false },
    ]);
    const { items } = (
      await test.request('GET', `${base}/uptime?component=check:target`, { as: test.adminToken })
    ).body;
    expect(items[0]).toMatchObject({ incidents: 1, unknownMs: 0 });
    expect(items[0].downMs).toBeGreaterThan(0);
  }, 90_000);

  it('forget what they saw if another instance has watched meanwhile', async () => {
    const watcher = test.app.get(OutsideWatcher);
    await proxy.refuse();
    await eventually(() => !watcher.isLeader, 10_000);
    await direct.execute(
      `UPDATE vigia.leases SET holder = 'other', token = token + 1, expires_at = clock_timestamp() - interval '1 second'
       WHERE name = 'outside-checks'`,
    );
    target.close();
    await eventually(() => status('target') === 'down', 10_000);
    await proxy.pass();
    await eventually(() => watcher.isLeader, 20_000);
    await once(target.listen(port, '127.0.0.1'), 'listening');
    await eventually(() => status('target') === 'up', 10_000);
    await eventually(async () => {
      const { length, [length - 1]: last } = await rows();
      return length > 3 && last?.status === 'up' && !last.ended;
    }, 10_000);
    const seen = await rows();
    expect(seen.filter(({ ended }) => !ended)).toHaveLength(1);
    expect(seen[2]).toEqual({ status: 'up', ended: true }); // closed where it was confirmed last
  }, 90_000);

  it('keep a check whose name another has just given up', async () => {
    const store = test.app.get(OutsideChecksStore);
    const watcher = test.app.get(OutsideWatcher);
    const { id } = await make('a');
    await eventually(() => status('a') !== undefined);
    // Both changes before one rereading, as when the bus was away.
    const list = jest.spyOn(store, 'list').mockResolvedValue(await store.list());
    const full = { ...body('b'), kind: 'tcp' as const, degradedAboveMs: 500, critical: false };
    await store.replace(id, full);
    await store.create({ ...full, name: 'a' });
    list.mockRestore();
    await watcher.sync();
    expect([status('a'), status('b')]).not.toContain(undefined);
  });
});
