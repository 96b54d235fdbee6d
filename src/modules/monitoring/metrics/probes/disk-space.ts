import { statfs } from 'node:fs/promises';
import { withinMs } from '../within.js';
import type { Mount } from './mounts.js';

/** Space of a file system in bytes. */
export interface DiskSpace {
  readonly usedBytes: number;
  readonly totalBytes: number;
  /** Of what unprivileged programs may use, as `df` says. */
  readonly percentage: number;
}

export interface StatFs {
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
}

const DEADLINE_MS = 1_000;

/**
 * Asks file systems for their space without being held up by one. A dead NFS server keeps the call,
 * and with it one of Node's four I/O threads, for ever: such a mount is not asked again while its
 * call is out, and mounts of other servers and processes are asked one at a time, so that all of
 * them together cost at most one thread.
 */
export class DiskSpaces {
  private readonly pending = new Set<string>();
  private remotePending = 0;

  constructor(private readonly ask: (path: string) => Promise<StatFs> = statfs) {}

  /** In the order of `mounts`; null where there was no answer, undefined where there is nothing to measure. */
  async of(mounts: readonly Mount[]): Promise<(DiskSpace | null | undefined)[]> {
    const answers = new Map<string, DiskSpace | null | undefined>();
    const remote = mounts.filter((mount) => mount.remote);
    const local = mounts.filter((mount) => !mount.remote);
    await Promise.all([
      ...local.map(async ({ mountPoint }) => answers.set(mountPoint, await this.space(mountPoint))),
      this.oneByOne(remote, answers),
    ]);
    return mounts.map(({ mountPoint }) => (answers.has(mountPoint) ? answers.get(mountPoint) : null));
  }

  private async oneByOne(
    remote: readonly Mount[],
    answers: Map<string, DiskSpace | null | undefined>,
  ): Promise<void> {
    for (const { mountPoint } of remote) {
      if (this.remotePending > 0) return;
      this.remotePending += 1;
      answers.set(mountPoint, await this.space(mountPoint, () => (this.remotePending -= 1)));
    }
  }

  private async space(
    path: string,
    ended: () => void = () => undefined,
  ): Promise<DiskSpace | null | undefined> {
    if (this.pending.has(path)) return null;
    this.pending.add(path);
    const answer = this.ask(path).finally(() => {
      this.pending.delete(path);
      ended();
    });
    try {
      return toSpace(await withinMs(DEADLINE_MS, () => answer));
    } catch {
      return null; // late, gone or forbidden: its space is unknown
    }
  }
}

function toSpace({ bsize, blocks, bfree, bavail }: StatFs): DiskSpace | undefined {
  if (blocks === 0) return undefined;
  const used = blocks - bfree;
  return { usedBytes: used * bsize, totalBytes: blocks * bsize, percentage: (used / (used + bavail)) * 100 };
}
