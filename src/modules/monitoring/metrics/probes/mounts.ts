import { basename } from 'node:path';

/** A mounted file system that holds data. */
export interface Mount {
  readonly mountPoint: string;
  /** `major:minor`, as in `/proc/diskstats`. */
  readonly device: string;
  /** What is mounted, e.g. `/dev/sda1`; its last part names the device where the numbers do not (btrfs). */
  readonly sourceName: string;
  /** Served over a network or by another process, so that asking for its space may hang. */
  readonly remote: boolean;
}

/** More are not looked at, so that a host with thousands of mounts costs no more than this. */
export const MAX_MOUNTS = 32;

/** File systems that the kernel makes up, and read-only images, which are always full. */
const PSEUDO = new Set(
  (
    'autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl fuse.gvfsd-fuse ' +
    'fuse.lxcfs fuse.portal hugetlbfs iso9660 mqueue nsfs proc pstore ramfs rpc_pipefs securityfs selinuxfs ' +
    'squashfs sysfs tmpfs tracefs'
  ).split(' '),
);
const REMOTE = /^(nfs|cifs|smb|9p|ceph|glusterfs|afs|fuse|virtiofs|lustre|beegfs)/;
/** Single files that container engines mount from the host's disk. */
const ENGINE_FILES = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/termination-log']);

/**
 * The real file systems in `/proc/self/mountinfo`, each device once: a bind mount shows the same
 * space again. The mount of a device's root wins, else the shortest path.
 */
export function parseMounts(mountinfo: string): Mount[] {
  const byDevice = new Map<string, MountLine>();
  for (const line of mountinfo.split('\n')) {
    const mount = parseLine(line);
    if (!mount) continue;
    const known = byDevice.get(mount.device);
    if (!known || isBetter(mount, known)) byDevice.set(mount.device, mount);
  }
  const mounts = [...byDevice.values()].sort((a, b) => a.mountPoint.length - b.mountPoint.length);
  return mounts.slice(0, MAX_MOUNTS).map(({ isRoot: _, ...mount }) => mount);
}

type MountLine = Mount & { readonly isRoot: boolean };

/** `36 35 98:0 /root /mount/point opts [optional fields] - type source superopts` */
function parseLine(line: string): MountLine | undefined {
  const [left, right] = line.split(' - ');
  const [, , device, root, mountPoint] = left?.split(' ') ?? [];
  const [type, source] = right?.split(' ') ?? [];
  if (!device || !root || !mountPoint || !type || !source) return undefined;
  const path = unescaped(mountPoint);
  if (PSEUDO.has(type) || ENGINE_FILES.has(path)) return undefined;
  // A container's own root; elsewhere it is another container's, which shows the engine's disk once more.
  if (type === 'overlay' && path !== '/') return undefined;
  return {
    mountPoint: path,
    device,
    sourceName: basename(unescaped(source)),
    remote: REMOTE.test(type),
    isRoot: root === '/',
  };
}

function isBetter(one: MountLine, other: MountLine): boolean {
  if (one.isRoot !== other.isRoot) return one.isRoot;
  return one.mountPoint.length < other.mountPoint.length;
}

/** The kernel writes blanks, tabs, newlines and backslashes in paths as three octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
