import type { Snapshot } from '../metrics.types.js';
import { readText, type ReadText } from './text-file.js';

/** Load averages of 1, 5 and 15 minutes. */
export class LoadProbe {
  constructor(private readonly read: ReadText = readText) {}

  async sample(): Promise<Snapshot['cpu']['load']> {
    const match = /^([\d.]+) ([\d.]+) ([\d.]+) /.exec((await this.read('/proc/loadavg')) ?? '');
    return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : [null, null, null];
  }
}
