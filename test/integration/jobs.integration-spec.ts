import { Logger } from '@nestjs/common';
import { JobProgress } from '../../src/core/jobs/job-progress.js';
import { Jobs, type JobDefinition } from '../../src/core/jobs/jobs.js';
import { coreServices } from '../support/core-services.js';
import { eventually } from '../support/eventually.js';
import { openTestDatabase } from '../support/test-database.js';

describe(Jobs.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  const stops: (() => Promise<void>)[] = [];
  const start = async (instanceId: string, definitions: JobDefinition[]) => {
    const { clock, leases, instance, shutdown } = coreServices(db.database, instanceId);
    const jobs = new Jobs(db.database, leases, clock, instance, shutdown);
    for (const definition of definitions) jobs.define(definition);
    await jobs.start();
    stops.push(() => shutdown.onApplicationShutdown());
    return jobs;
  };
  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });
  beforeEach(async () => {
    db = await openTestDatabase();
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
    await db.close();
  });

  it('runs one job per row, however often it is added while the first waits or runs', async () => {
    const ran: string[] = [];
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const jobs = await start('a', [
      {
        name: 'x.run',
        lane: 'short',
        run: async (rowId) => {
          ran.push(rowId);
          await held;
        },
      },
    ]);
    await jobs.add('x.run', 'row-1');
    await eventually(() => ran.length === 1);
    await jobs.add('x.run', 'row-1');
    await jobs.add('x.run', 'row-2');
    await eventually(() => ran.includes('row-2'));
    release();
    await eventually(async () => (await jobs.stats()).active === 0);
    expect(ran.sort()).toEqual(['row-1', 'row-2']);
  });

  it('can wake the same row again once its job has ended', async () => {
    let runs = 0;
    const jobs = await start('a', [{ name: 'x.again', lane: 'short', run: async () => void (runs += 1) }]);
    await jobs.add('x.again', 'row');
    await eventually(() => runs === 1);
    await eventually(async () => {
      await jobs.add('x.again', 'row');
      return runs >= 2;
    });
  });

  it('adds what a crash left out: a committed row without a job is found by the sweep', async () => {
    const ran: string[] = [];
    const unstarted = ['forgotten'];
    await start('a', [
      {
        name: 'x.swept',
        lane: 'short',
        run: async (rowId) => {
          ran.push(rowId);
          unstarted.length = 0;
        },
        unstarted: async () => [...unstarted],
      },
    ]);
    await eventually(() => ran.includes('forgotten'), 15_000);
  });

  it('shows a heartbeat that only a processed job can write', async () => {
    const jobs = await start('a', []);
    await eventually(() => jobs.lastHeartbeatAtMs(), 20_000);
    expect(await jobs.oldestWaitingAgeMs()).toBe(0);
  });
});

describe(JobProgress.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  let progress: JobProgress;
  const create = () =>
    db.database.transaction((tx) => progress.create(tx, { kind: 'test', ownerId: 'u1', total: 10 }));
  beforeAll(async () => {
    db = await openTestDatabase();
    const { bus, clock, leases, instance, shutdown } = coreServices(db.database);
    progress = new JobProgress(db.database, bus, clock, leases, instance, shutdown);
  });
  afterAll(() => db.close());

  it('never goes back, whatever order reports arrive in', async () => {
    const id = await create();
    await progress.report(id, { done: 7 });
    await progress.report(id, { done: 3 });
    expect(await progress.find(id)).toMatchObject({ state: 'running', done: 7, version: 3 });
  });

  it('has exactly one end: of many that race, one stands', async () => {
    const id = await create();
    const ends = await Promise.all([
      progress.succeed(id, { rows: 1 }),
      progress.fail(id, 'X', 'x'),
      progress.cancel(id),
      progress.succeed(id),
    ]);
    expect(ends.filter(Boolean)).toHaveLength(1);
    const ended = await progress.find(id);
    expect(await progress.report(id, { done: 9 })).toBe(false);
    expect(await progress.find(id)).toEqual(ended);
  });

  it('writes a flood of reports at most four times a second, and the last one wins', async () => {
    const id = await create();
    const tracker = progress.track(id);
    for (let done = 0; done <= 9; done++) tracker.update({ done });
    await eventually(async () => (await progress.find(id))?.done === 9);
    expect((await progress.find(id))!.version).toBeLessThanOrEqual(3);
    tracker.stop();
  });

  it('ends a running job that fell silent as LOST, but not one that still waits for its turn', async () => {
    const [silent, waiting] = [await create(), await create()];
    await progress.report(silent, { done: 1 });
    await db.database.execute(
      `UPDATE vigia.job_progress SET updated_at = clock_timestamp() - interval '61 s'`,
    );
    await (progress as unknown as { failLost(): Promise<void> }).failLost();
    expect(await progress.find(silent)).toMatchObject({ state: 'failed', error: { code: 'LOST' } });
    expect(await progress.find(waiting)).toMatchObject({ state: 'queued' });
  });
});
