import { fieldIn, numberIn, readText, type ReadText } from './text-file.js';

/** Memory of the container this process runs in. */
export interface ContainerMemory {
  readonly limitBytes: number;
  /** Without the page cache that the kernel would drop first, as `docker stats` counts; null if unreadable. */
  readonly usedBytes: number | null;
  /** Page cache of the container's files; null if unreadable, as are the next two. */
  readonly cachedBytes: number | null;
  readonly swapUsedBytes: number | null;
  /** How much it may swap; Infinity where only the host sets a bound. */
  readonly swapLimitBytes: number | null;
}

/** CPU of the container this process runs in. */
export interface ContainerCpu {
  /** Cores' worth of time that it may use. */
  readonly quotaCores: number;
  /** Time used so far by all of the container, in microseconds; null if unreadable. */
  readonly usageMicros: number | null;
}

/** The path of this process in each hierarchy, from `/proc/self/cgroup`; v2 under the empty name. */
export function parseCgroupPaths(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  return paths;
}

/** From the process's own group up to the root: each of them may hold a limit, and the least one counts. */
export function groupFolders(base: string, path: string): string[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '..');
  const folders = [base];
  for (const name of names.slice(0, MAX_DEPTH)) folders.push(`${folders.at(-1)}/${name}`);
  return folders.reverse();
}

/** A kernel that has no limit says so by `max`, by -1 or by a number near 2^63; all are no limit. */
export function limitBelow(limit: number | null, whole: number): number | null {
  return limit !== null && limit > 0 && limit < whole ? limit : null;
}

interface MemoryNames {
  readonly usageFile: string;
  /** Fields of `memory.stat`. */
  readonly reclaimable: string;
  readonly cached: string;
}
const V2_MEMORY = { usageFile: 'memory.current', reclaimable: 'inactive_file', cached: 'file' };
const V1_MEMORY = {
  ...{ usageFile: 'memory.usage_in_bytes', reclaimable: 'total_inactive_file', cached: 'total_cache' },
};
type Swap = Pick<ContainerMemory, 'swapUsedBytes' | 'swapLimitBytes'>;

const MAX_DEPTH = 16;
const ROOT = '/sys/fs/cgroup';

interface Found {
  readonly folder: string;
  readonly limit: number;
}

/**
 * The limits of the container, cgroup v2 first and then v1. They lie in the group that this process
 * is in or in one above it; inside a container's own namespace that path may not exist, and the
 * root of the mount is then the container's group.
 */
export class Cgroup {
  private paths: ReadonlyMap<string, string> | undefined;

  constructor(private readonly read: ReadText = readText) {}

  /** @param totalBytes memory of the host, above which a limit is none */
  async memory(totalBytes: number): Promise<ContainerMemory | null> {
    const bound = (limit: number | null) => limitBelow(limit, totalBytes);
    const v2 = await this.least(await this.foldersV2(), async (folder) =>
      bound(numberIn(await this.read(`${folder}/memory.max`))),
    );
    if (v2) return { ...(await this.memoryOf(v2, V2_MEMORY)), ...(await this.swapV2(v2)) };
    const v1Folders = await this.foldersV1('memory');
    const v1 = await this.least(v1Folders, async (folder) =>
      bound(numberIn(await this.read(`${folder}/memory.limit_in_bytes`))),
    );
    return v1 && { ...(await this.memoryOf(v1, V1_MEMORY)), ...(await this.swapV1(v1)) };
  }

  /** @param cores of the host, from which on a quota is none */
  async cpu(cores: number): Promise<ContainerCpu | null> {
    const v2 = await this.least(await this.foldersV2(), async (folder) =>
      limitBelow(coresOfCpuMax(await this.read(`${folder}/cpu.max`)), cores),
    );
    if (v2)
      return {
        quotaCores: v2.limit,
        usageMicros: fieldIn(await this.read(`${v2.folder}/cpu.stat`), 'usage_usec'),
      };
    const v1 = await this.least(await this.foldersV1('cpu'), async (folder) =>
      limitBelow(await this.quotaV1(folder), cores),
    );
    return v1 && { quotaCores: v1.limit, usageMicros: await this.usageV1(v1) };
  }

  private async memoryOf(
    { folder, limit }: Found,
    { usageFile, reclaimable, cached }: MemoryNames,
  ): Promise<Pick<ContainerMemory, 'limitBytes' | 'usedBytes' | 'cachedBytes'>> {
    const [usage, stat] = await Promise.all([
      this.read(`${folder}/${usageFile}`),
      this.read(`${folder}/memory.stat`),
    ]);
    const bytes = numberIn(usage);
    const cache = fieldIn(stat, `${reclaimable} `) ?? 0;
    return {
      limitBytes: limit,
      usedBytes: bytes === null ? null : Math.max(0, bytes - cache),
      cachedBytes: fieldIn(stat, `${cached} `),
    };
  }

  private async swapV2({ folder }: Found): Promise<Swap> {
    const [used, limit] = await Promise.all([
      this.read(`${folder}/memory.swap.current`),
      this.read(`${folder}/memory.swap.max`),
    ]);
    const unlimited = limit?.trim() === 'max';
    return { swapUsedBytes: numberIn(used), swapLimitBytes: unlimited ? Infinity : numberIn(limit) };
  }

  /** Version 1 counts memory and swap together, where it accounts for swap at all. */
  private async swapV1({ folder, limit }: Found): Promise<Swap> {
    const [stat, together] = await Promise.all([
      this.read(`${folder}/memory.stat`),
      this.read(`${folder}/memory.memsw.limit_in_bytes`),
    ]);
    const both = numberIn(together);
    return {
      swapUsedBytes: fieldIn(stat, 'total_swap '),
      swapLimitBytes: both === null ? null : Math.max(0, both - limit),
    };
  }

  private async quotaV1(folder: string): Promise<number | null> {
    const [quota, period] = await Promise.all([
      this.read(`${folder}/cpu.cfs_quota_us`),
      this.read(`${folder}/cpu.cfs_period_us`),
    ]);
    return ratio(numberIn(quota), numberIn(period));
  }

  /** The same group's folder in the accounting hierarchy, which counts nanoseconds. */
  private async usageV1({ folder }: Found): Promise<number | null> {
    const accounting = folder.replace(`${ROOT}/cpu`, `${ROOT}/cpuacct`);
    const nanos = numberIn(await this.read(`${accounting}/cpuacct.usage`));
    return nanos === null ? null : nanos / 1000;
  }

  private async least(
    folders: readonly string[],
    limitOf: (folder: string) => Promise<number | null>,
  ): Promise<Found | null> {
    const limits = await Promise.all(
      folders.map(async (folder) => ({ folder, limit: await limitOf(folder) })),
    );
    return limits.reduce<Found | null>(
      (least, { folder, limit }) =>
        limit !== null && (!least || limit < least.limit) ? { folder, limit } : least,
      null,
    );
  }

  private async foldersV2(): Promise<string[]> {
    const path = (await this.groupPaths()).get('');
    return path === undefined ? [] : groupFolders(ROOT, path);
  }

  private async foldersV1(controller: string): Promise<string[]> {
    const path = (await this.groupPaths()).get(controller);
    return path === undefined ? [] : groupFolders(`${ROOT}/${controller}`, path);
  }

  /** A process is seldom moved to another group, so this is read once. */
  private async groupPaths(): Promise<ReadonlyMap<string, string>> {
    this.paths ??= parseCgroupPaths((await this.read('/proc/self/cgroup')) ?? '');
    return this.paths;
  }
}

/** `cpu.max` holds quota and period in microseconds, `max` for no quota. */
function coresOfCpuMax(text: string | null): number | null {
  const [quota = null, period = null] = text?.trim().split(/\s+/) ?? [];
  return ratio(numberIn(quota), numberIn(period));
}

function ratio(part: number | null, whole: number | null): number | null {
  return part !== null && whole !== null && whole > 0 ? part / whole : null;
}
