import { Logger } from '@nestjs/common';
import { JobProgress, JobTracker } from '../../src/core/jobs/job-progress.js';
import { Jobs, type JobDefinition } from '../../src/core/jobs/jobs.js';
import { coreServices } from '../support/core-services.js';
import { FakeClock } from '../support/fake-clock.js';
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

  it('is told to stop when the process ends, and its row is left for the next', async () => {
    let told = false;
    let started = false;
    const { clock, leases, instance, shutdown } = coreServices(db.database, 'ending');
    const jobs = new Jobs(db.database, leases, clock, instance, shutdown);
    const run = (_: string, { signal }: { signal: AbortSignal | undefined }) =>
      new Promise<void>((_resolve, reject) => {
        started = true;
        signal?.addEventListener('abort', () => {
          told = true;
          reject(new Error('stopped'));
        });
      });
    jobs.define({ name: 'x.long', lane: 'long', run });
    await jobs.start();
    await jobs.add('x.long', 'row');
    await eventually(() => started);
    await shutdown.onApplicationShutdown();
    expect(told).toBe(true);
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

  describe('silence', () => {
    let clock: FakeClock;
    const look = () => (progress as unknown as { failLost(): Promise<void> }).failLost();
    const agoMs = (ms: number) =>
      db.database.execute(
        `UPDATE vigia.job_progress SET updated_at = clock_timestamp() - $1 * interval '1 millisecond'`,
        [ms],
      );
    beforeEach(() => {
      clock = new FakeClock();
      const { bus, leases, instance, shutdown } = coreServices(db.database);
      progress = new JobProgress(db.database, bus, clock, leases, instance, shutdown);
    });

    it('ends a running job as LOST, but not one that still waits for its turn', async () => {
      const [silent, waiting] = [await create(), await create()];
      await progress.report(silent, { done: 1 });
      await agoMs(61_000);
      await look();
      clock.advance(21_000);
      await look();
      expect(await progress.find(silent)).toMatchObject({ state: 'failed', error: { code: 'LOST' } });
      expect(await progress.find(waiting)).toMatchObject({ state: 'queued' });
    });

    it('is not held against a job that could not report during an outage of ours', async () => {
      const living = await create();
      await progress.report(living, { done: 1 });
      await agoMs(600_000);
      await look(); // right after the outage: it looks silent
      await progress.report(living, {}); // its tracker has its turn
      await agoMs(61_000);
      clock.advance(21_000);
      await look();
      expect(await progress.find(living)).toMatchObject({ state: 'running' });
    });
  });

  it('is kept for 30 days after the end', async () => {
    const [old, recent] = [await create(), await create()];
    for (const id of [old, recent]) await progress.succeed(id);
    await db.database.execute(
      `UPDATE vigia.job_progress SET ended_at = clock_timestamp() - interval '31 days' WHERE job_id = $1`,
      [old],
    );
    await (progress as unknown as { forgetEnded(): Promise<void> }).forgetEnded();
    expect([await progress.find(old), (await progress.find(recent))?.state]).toEqual([null, 'succeeded']);
  });

  it('goes on after a write that failed: the report is written with the next', async () => {
    const writes: object[] = [];
    const clock = new FakeClock();
    const tracker = new JobTracker(
      'j',
      clock,
      async (update) => {
        writes.push(update);
        if (writes.length === 1) throw new Error('away');
        return true;
      },
      () => undefined,
    );
    tracker.update({ phase: 'copy', done: 5 });
    await eventually(() => writes.length === 2, 2_000);
    tracker.stop();
    expect(writes).toEqual([
      { phase: 'copy', done: 5 },
      { phase: 'copy', done: 5 },
    ]);
  });
});
