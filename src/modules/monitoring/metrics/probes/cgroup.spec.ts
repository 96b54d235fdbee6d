import { Cgroup, groupFolders, limitBelow, parseCgroupPaths } from './cgroup.js';
import { filesOf } from '../../../../../test/support/metrics-fixtures.js';

const GB = 1024 ** 3;
const HOST_BYTES = 16 * GB;
const CG = '/sys/fs/cgroup';
/** What cgroup v1 says when there is no limit. */
const NO_LIMIT_V1 = '9223372036854771712\n';

describe('memory of a container', () => {
  it('is the limit of the nested group this process is in, not of the host', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '0::/kubepods/pod1/app\n',
        [`${CG}/kubepods/pod1/app/memory.max`]: `${2 * GB}\n`,
        [`${CG}/kubepods/pod1/app/memory.current`]: `${GB}\n`,
        [`${CG}/kubepods/pod1/app/memory.stat`]: `anon 1\ninactive_file ${GB / 4}\nactive_file 7\n`,
        [`${CG}/kubepods/pod1/memory.max`]: 'max\n',
        [`${CG}/kubepods/memory.max`]: `${8 * GB}\n`,
      }),
    );
    expect(await cgroup.memory(HOST_BYTES)).toMatchObject({ limitBytes: 2 * GB, usedBytes: GB * 0.75 });
  });

  it('is the limit of a group above, with the use of that group, when that one is the tightest', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '0::/pod/app\n',
        [`${CG}/pod/app/memory.max`]: `${4 * GB}\n`,
        [`${CG}/pod/app/memory.current`]: '1\n',
        [`${CG}/pod/memory.max`]: `${GB}\n`,
        [`${CG}/pod/memory.current`]: `${GB / 2}\n`,
      }),
    );
    expect(await cgroup.memory(HOST_BYTES)).toMatchObject({ limitBytes: GB, usedBytes: GB / 2 });
  });

  it('is found at the root of the mount where the path of the host is not visible', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '0::/docker/4f2a\n',
        [`${CG}/memory.max`]: `${GB}\n`,
        [`${CG}/memory.current`]: '1000\n',
      }),
    );
    expect(await cgroup.memory(HOST_BYTES)).toMatchObject({ limitBytes: GB, usedBytes: 1000 });
  });

  it('is read from cgroup v1 where v2 says nothing', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '4:memory:/docker/4f2a\n0::/\n',
        [`${CG}/memory/docker/4f2a/memory.limit_in_bytes`]: `${GB}\n`,
        [`${CG}/memory/docker/4f2a/memory.usage_in_bytes`]: '5000\n',
        [`${CG}/memory/docker/4f2a/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 2000\n',
        [`${CG}/memory/memory.limit_in_bytes`]: NO_LIMIT_V1,
      }),
    );
    expect(await cgroup.memory(HOST_BYTES)).toMatchObject({ limitBytes: GB, usedBytes: 3000 });
  });

  it.each(['max\n', NO_LIMIT_V1, `${HOST_BYTES}\n`])('is none when the kernel says %j', async (limit) => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '4:memory:/\n0::/\n',
        [`${CG}/memory.max`]: limit,
        [`${CG}/memory/memory.limit_in_bytes`]: limit,
      }),
    );
    expect(await cgroup.memory(HOST_BYTES)).toBeNull();
  });

  it('is none where nothing can be read', async () => {
    expect(await new Cgroup(filesOf({})).memory(HOST_BYTES)).toBeNull();
  });

  it('takes the 2^64 of process.constrainedMemory() for no limit', () => {
    expect(limitBelow(18446744073709552000, HOST_BYTES)).toBeNull();
    expect(limitBelow(GB, HOST_BYTES)).toBe(GB);
  });
});

describe('CPU of a container', () => {
  it('is the quota of the nested group, in cores', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '0::/pod/app\n',
        [`${CG}/pod/app/cpu.max`]: '150000 100000\n',
        [`${CG}/pod/app/cpu.stat`]: 'usage_usec 123456\nuser_usec 1\n',
        [`${CG}/pod/cpu.max`]: 'max 100000\n',
      }),
    );
    expect(await cgroup.cpu(8)).toEqual({ quotaCores: 1.5, usageMicros: 123_456 });
  });

  it('is read from cgroup v1, whose accounting counts nanoseconds', async () => {
    const cgroup = new Cgroup(
      filesOf({
        '/proc/self/cgroup': '2:cpu,cpuacct:/docker/4f2a\n',
        [`${CG}/cpu/docker/4f2a/cpu.cfs_quota_us`]: '50000\n',
        [`${CG}/cpu/docker/4f2a/cpu.cfs_period_us`]: '100000\n',
        [`${CG}/cpuacct/docker/4f2a/cpuacct.usage`]: '7000000\n',
      }),
    );
    expect(await cgroup.cpu(8)).toEqual({ quotaCores: 0.5, usageMicros: 7_000 });
  });

  it('has no quota at -1 (v1), at max (v2) and at as many cores as the host has', async () => {
    const v1 = { [`${CG}/cpu/cpu.cfs_quota_us`]: '-1\n', [`${CG}/cpu/cpu.cfs_period_us`]: '100000\n' };
    const all = { [`${CG}/cpu.max`]: '800000 100000\n' };
    expect(await new Cgroup(filesOf({ '/proc/self/cgroup': '2:cpu:/\n', ...v1 })).cpu(8)).toBeNull();
    expect(await new Cgroup(filesOf({ '/proc/self/cgroup': '0::/\n', ...all })).cpu(8)).toBeNull();
  });
});

describe(parseCgroupPaths.name, () => {
  it('knows hybrid hierarchies, and paths that hold colons', () => {
    const paths = parseCgroupPaths('3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\n');
    expect(Object.fromEntries(paths)).toEqual({ cpu: '/a', cpuacct: '/a', 'name=systemd': '/b', '': '/c:d' });
  });
});

describe(groupFolders.name, () => {
  it('ends at the root of the mount, however deep or odd the path', () => {
    expect(groupFolders(CG, '/')).toEqual([CG]);
    expect(groupFolders(CG, '/a/b')).toEqual([`${CG}/a/b`, `${CG}/a`, CG]);
    expect(groupFolders(CG, `/${'x/'.repeat(40)}`)).toHaveLength(17);
    expect(groupFolders(CG, '/../..')).toEqual([CG]);
  });
});
