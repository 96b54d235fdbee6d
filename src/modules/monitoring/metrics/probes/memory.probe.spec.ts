import { MemoryProbe } from './memory.probe.js';
import { filesOf } from '../../../../../test/support/metrics-fixtures.js';

const KB = 1024;
const MEMINFO = `MemTotal:       16000 kB
MemFree:         1000 kB
MemAvailable:    6000 kB
Cached:          4000 kB
SwapCached:         7 kB
SwapTotal:       2000 kB
SwapFree:        1500 kB
`;
const NO_LIMIT = () => 18446744073709552000;

const probe = (files: Record<string, string>, constrained = NO_LIMIT) =>
  new MemoryProbe(filesOf(files), undefined, constrained);

describe(MemoryProbe.name, () => {
  it('shows the host where there is no limit', async () => {
    expect(await probe({ '/proc/meminfo': MEMINFO }).sample()).toEqual({
      used: 10_000 * KB,
      total: 16_000 * KB,
      available: 6_000 * KB,
      percentage: 62.5,
      swapUsed: 500 * KB,
      swapTotal: 2_000 * KB,
      limitBytes: null,
      cachedBytes: 4_000 * KB,
    });
  });

  it('shows the container where it has a limit, since host totals would hide an out-of-memory kill', async () => {
    const sample = await probe({
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/app\n',
      '/sys/fs/cgroup/app/memory.max': String(8_000 * KB),
      '/sys/fs/cgroup/app/memory.current': String(6_000 * KB),
      '/sys/fs/cgroup/app/memory.stat': `anon 1\nfile ${700 * KB}\nfile_mapped 5\ninactive_file 0\n`,
      '/sys/fs/cgroup/app/memory.swap.current': String(100 * KB),
      '/sys/fs/cgroup/app/memory.swap.max': String(300 * KB),
    }).sample();
    expect(sample).toEqual({
      used: 6_000 * KB,
      total: 8_000 * KB,
      available: 2_000 * KB,
      percentage: 75,
      limitBytes: 8_000 * KB,
      cachedBytes: 700 * KB,
      swapUsed: 100 * KB,
      swapTotal: 300 * KB,
    });
  });

  it("bounds a container's swap by the host's where it has no bound of its own", async () => {
    const sample = await probe({
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/app\n',
      '/sys/fs/cgroup/app/memory.max': String(8_000 * KB),
      '/sys/fs/cgroup/app/memory.swap.current': '0\n',
      '/sys/fs/cgroup/app/memory.swap.max': 'max\n',
    }).sample();
    expect(sample).toMatchObject({ swapUsed: 0, swapTotal: 2_000 * KB, cachedBytes: null });
  });

  it('knows the same of version 1, which counts swap together with memory', async () => {
    const folder = '/sys/fs/cgroup/memory/app';
    const sample = await probe({
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '4:memory:/app\n',
      [`${folder}/memory.limit_in_bytes`]: String(8_000 * KB),
      [`${folder}/memory.usage_in_bytes`]: String(6_000 * KB),
      [`${folder}/memory.stat`]: `cache 1\ntotal_cache ${700 * KB}\ntotal_swap ${50 * KB}\ntotal_inactive_file 0\n`,
      [`${folder}/memory.memsw.limit_in_bytes`]: String(8_400 * KB),
    }).sample();
    expect(sample).toMatchObject({ cachedBytes: 700 * KB, swapUsed: 50 * KB, swapTotal: 400 * KB });
  });

  it("falls back to Node's own idea of the limit, with the use unknown", async () => {
    const sample = await probe({ '/proc/meminfo': MEMINFO }, () => 8_000 * KB).sample();
    expect(sample).toMatchObject({ limitBytes: 8_000 * KB, total: 8_000 * KB, used: null, percentage: null });
    expect(sample).toMatchObject({ cachedBytes: null, swapUsed: null, swapTotal: null }); // the host's are not its own
  });

  it('is null, never 0, where nothing can be read', async () => {
    expect(Object.values(await probe({}).sample())).toEqual(Array(8).fill(null));
  });

  it('is null, never 0, for single lines that are absent (kernels before 3.14 have no MemAvailable)', async () => {
    const old = MEMINFO.replace(/MemAvailable.*\n/, '');
    expect(await probe({ '/proc/meminfo': old }).sample()).toMatchObject({ used: null, total: 16_000 * KB });
  });
});
