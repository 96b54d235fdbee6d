import { MAX_MOUNTS, parseMounts } from './mounts.js';

const HOST = `22 27 0:21 / /proc rw,relatime - proc proc rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw
25 24 0:23 / /dev/shm rw shared:4 - tmpfs tmpfs rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 254:0 /srv/data /mnt/bind rw,relatime - ext4 /dev/vda rw
31 27 8:17 / /mnt/my\\040disk rw,relatime master:2 - xfs /dev/sdb1 rw
32 27 7:0 / /snap/core ro - squashfs /dev/loop0 ro
33 27 0:44 / /mnt/nas rw - nfs4 nas:/export rw
34 27 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
`;

describe(parseMounts.name, () => {
  it('shows real file systems only, each device once', () => {
    expect(parseMounts(HOST).map(({ mountPoint }) => mountPoint)).toEqual(['/', '/mnt/nas', '/mnt/my disk']);
  });

  it('tells which mounts another machine serves', () => {
    expect(parseMounts(HOST).filter(({ remote }) => remote)).toEqual([
      { mountPoint: '/mnt/nas', device: '0:44', sourceName: 'export', remote: true },
    ]);
  });

  it('shows a container its root and volumes, not the files its engine mounts from the host', () => {
    const container = `1 0 0:50 / / rw - overlay overlay rw
2 1 8:1 /docker/x/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
3 1 8:1 /docker/x/hosts /etc/hosts rw - ext4 /dev/sda1 rw
4 1 8:1 /docker/volumes/v/_data /data rw - ext4 /dev/sda1 rw
`;
    expect(parseMounts(container).map(({ mountPoint }) => mountPoint)).toEqual(['/', '/data']);
  });

  it("shows a container engine's host its own disks, not the root of each container again", () => {
    const engine = `1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:50 / /var/lib/docker/overlay2/aa11/merged rw - overlay overlay rw
3 1 0:51 / /var/lib/docker/overlay2/bb22/merged rw - overlay overlay rw
4 1 0:52 / /run/containerd/io.containerd.runtime.v2.task/k8s.io/cc33/rootfs rw - overlay overlay rw
`;
    expect(parseMounts(engine).map(({ mountPoint }) => mountPoint)).toEqual(['/']);
  });

  it('looks at no more than 32 mounts', () => {
    const many = Array.from({ length: 500 }, (_, i) => `${i} 1 8:${i} / /m${i} rw - ext4 /dev/s${i} rw`).join(
      '\n',
    );
    expect(parseMounts(many)).toHaveLength(MAX_MOUNTS);
  });

  it('survives lines it does not understand', () => {
    expect(parseMounts('\n - \nnonsense\n1 2 3\n')).toEqual([]);
  });
});
