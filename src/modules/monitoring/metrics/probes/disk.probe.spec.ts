import { DiskSpaces, type StatFs } from './disk-space.js';
import { DiskProbe } from './disk.probe.js';
import type { Mount } from './mounts.js';
import { filesOf } from '../../../../../test/support/metrics-fixtures.js';

const SPACE: StatFs = { bsize: 4096, blocks: 1_000, bfree: 400, bavail: 200 };
const HANGS = new Promise<never>(() => undefined);

const mount = (mountPoint: string, remote = false): Mount => ({
  mountPoint,
  device: '8:1',
  sourceName: 'sda1',
  remote,
});

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe(DiskSpaces.name, () => {
  it('reports what programs may use, as df does: reserved blocks are not free', async () => {
    const [space] = await new DiskSpaces(async () => SPACE).of([mount('/')]);
    expect(space).toEqual({ usedBytes: 600 * 4096, totalBytes: 1_000 * 4096, percentage: 75 });
  });

  it('does not wait for a server that hangs, nor hold up the other mounts', async () => {
    const spaces = new DiskSpaces((path) => (path === '/nas' ? HANGS : Promise.resolve(SPACE)));
    const answer = spaces.of([mount('/nas', true), mount('/')]);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await answer).toEqual([null, expect.objectContaining({ percentage: 75 })]);
  });

  it('spends at most one I/O thread on all servers that hang, however long', async () => {
    const asked: string[] = [];
    const spaces = new DiskSpaces((path) => {
      asked.push(path);
      return HANGS;
    });
    for (let tick = 0; tick < 5; tick++) {
      const answer = spaces.of([mount('/nas1', true), mount('/nas2', true), mount('/nas3', true)]);
      await jest.advanceTimersByTimeAsync(1_000);
      expect(await answer).toEqual([null, null, null]);
    }
    expect(asked).toEqual(['/nas1']);
  });

  it('asks again once a server that hung has answered after all', async () => {
    let answerLate: (space: StatFs) => void = () => undefined;
    const late = new Promise<StatFs>((resolve) => (answerLate = resolve));
    const answers = [late, Promise.resolve(SPACE)];
    const spaces = new DiskSpaces(() => answers.shift() ?? HANGS);
    const first = spaces.of([mount('/nas', true)]);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(await first).toEqual([null]);
    answerLate(SPACE);
    await jest.advanceTimersByTimeAsync(0);
    expect(await spaces.of([mount('/nas', true)])).toEqual([expect.objectContaining({ percentage: 75 })]);
  });

  it('is null for a mount that is forbidden, and leaves out one without blocks', async () => {
    const spaces = new DiskSpaces((path) =>
      path === '/secret' ? Promise.reject(new Error('EACCES')) : Promise.resolve({ ...SPACE, blocks: 0 }),
    );
    expect(await spaces.of([mount('/secret'), mount('/made-up')])).toEqual([null, undefined]);
  });
});

describe(DiskProbe.name, () => {
  const diskstats = (reads: number, sectorsRead: number, writes: number, sectorsWritten: number) =>
    `   8       1 sda1 ${reads} 0 ${sectorsRead} 0 ${writes} 0 ${sectorsWritten} 0 0 0 0\n`;
  const mountinfo =
    '27 1 8:1 / / rw - ext4 /dev/sda1 rw\n28 27 0:40 / /pool rw - btrfs /dev/sda1 rw\n29 27 0:50 / /nas rw - nfs nas:/x rw\n';

  it('knows the traffic of each mount from the second sample on, and null where the device has no counters', async () => {
    const files: Record<string, string> = {
      '/proc/self/mountinfo': mountinfo,
      '/proc/diskstats': diskstats(0, 0, 0, 0),
    };
    const probe = new DiskProbe(filesOf(files), new DiskSpaces(async () => SPACE));
    expect((await probe.sample(10_000))[0]).toMatchObject({
      mount: '/',
      percentage: 75,
      readsPerSecond: null,
    });
    files['/proc/diskstats'] = diskstats(20, 40, 100, 200);
    const traffic = {
      readsPerSecond: 2,
      readBytesPerSecond: 2_048,
      writesPerSecond: 10,
      writeBytesPerSecond: 10_240,
    };
    const none = {
      readsPerSecond: null,
      readBytesPerSecond: null,
      writesPerSecond: null,
      writeBytesPerSecond: null,
    };
    expect(await probe.sample(20_000)).toEqual([
      expect.objectContaining({ mount: '/', ...traffic }),
      expect.objectContaining({ mount: '/nas', ...none }),
      expect.objectContaining({ mount: '/pool', ...traffic }),
    ]);
  });

  it('shows no disk where mounts cannot be read', async () => {
    expect(await new DiskProbe(filesOf({})).sample(1_000)).toEqual([]);
  });
});
