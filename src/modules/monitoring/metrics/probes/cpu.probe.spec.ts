import { CpuProbe, parseCpuTimes } from './cpu.probe.js';
import { filesOf } from '../../../../../test/support/metrics-fixtures.js';

const stat = (user: number, idle: number) => `cpu  ${user} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 2 3\nbtime 1\n`;

/** A host whose files change between two samples. */
function host(files: Record<string, string>) {
  const probe = new CpuProbe(filesOf(files), undefined, () => 4);
  return { files, probe };
}

describe(CpuProbe.name, () => {
  it('needs two readings', async () => {
    const { files, probe } = host({ '/proc/stat': stat(1_000, 1_000) });
    expect((await probe.sample(10_000)).usage).toBeNull();
    files['/proc/stat'] = stat(1_300, 1_100);
    expect((await probe.sample(25_000)).usage).toBe(75);
  });

  it('counts waiting for a disk as idle and time stolen by the hypervisor as busy', () => {
    expect(parseCpuTimes('cpu  10 20 30 40 50 60 70 80 999 999\n')).toEqual({ busy: 270, total: 360 });
  });

  it('is unknown over an interval in which the counters fell', async () => {
    const { files, probe } = host({ '/proc/stat': stat(9_000, 9_000) });
    await probe.sample(10_000);
    files['/proc/stat'] = stat(10, 20);
    expect((await probe.sample(25_000)).usage).toBeNull();
    files['/proc/stat'] = stat(20, 30);
    expect((await probe.sample(40_000)).usage).toBe(50);
  });

  it('is unknown where /proc/stat cannot be read', async () => {
    const { probe } = host({});
    await probe.sample(10_000);
    expect(await probe.sample(25_000)).toEqual({ usage: null, cores: 4, frequencyMhz: null });
  });

  it('is a percent of the container quota, over the time that really passed', async () => {
    const quota = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '50000 100000\n' };
    const { files, probe } = host({
      ...{ ...quota, '/proc/stat': stat(1, 1) },
      '/sys/fs/cgroup/cpu.stat': 'usage_usec 1000000\n',
    });
    await probe.sample(10_000);
    files['/sys/fs/cgroup/cpu.stat'] = 'usage_usec 5000000\n';
    expect(await probe.sample(26_000)).toMatchObject({ usage: 50, cores: 0.5 });
  });

  it('reads the frequency from sysfs in kHz, else from cpuinfo in MHz', async () => {
    const sysfs = host({ '/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq': '2400000\n' });
    const cpuinfo = host({ '/proc/cpuinfo': 'processor\t: 0\ncpu MHz\t\t: 2199.998\n' });
    expect((await sysfs.probe.sample(1_000)).frequencyMhz).toBe(2_400);
    expect((await cpuinfo.probe.sample(1_000)).frequencyMhz).toBe(2_199.998);
  });
});
