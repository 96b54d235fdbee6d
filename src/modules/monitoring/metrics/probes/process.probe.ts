import { getHeapStatistics } from 'node:v8';
import type { Snapshot } from '../metrics.types.js';
import { readText, type ReadText } from './text-file.js';

type ProcessReading = Omit<
  Snapshot['process'],
  'eventLoopDelayP99Ms' | 'eventLoopUtilization' | 'connections'
>;

/** Column `num_threads` of `/proc/self/stat`, counted from the end of the name, which may hold blanks. */
const THREADS_AFTER_NAME = 17;

export function parseThreads(stat: string | null): number | null {
  if (stat === null) return null;
  const columns = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const threads = Number(columns[THREADS_AFTER_NAME]);
  return Number.isInteger(threads) && threads > 0 ? threads : null;
}

/** This process: memory, heap, handles and threads. */
export class ProcessProbe {
  constructor(private readonly read: ReadText = readText) {}

  async sample(): Promise<ProcessReading> {
    const heap = getHeapStatistics();
    return {
      rssBytes: process.memoryUsage.rss(),
      heapUsedBytes: heap.used_heap_size,
      heapLimitBytes: heap.heap_size_limit,
      handles: process.getActiveResourcesInfo().length,
      threads: parseThreads(await this.read('/proc/self/stat')),
      uptimeSeconds: Math.round(process.uptime()),
    };
  }
}
