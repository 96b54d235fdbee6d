import { copyFile, open, truncate } from 'node:fs/promises';
import { statIfPresent } from './files.js';

/** One file of this size and one older one are kept. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** As much of the log as is searched for the reason of a failed start. */
const TAIL_BYTES = 16 * 1024;

export async function logSize(logFile: string): Promise<number> {
  return (await statIfPresent(logFile))?.size ?? 0;
}

/**
 * Moves a log that has grown over its bound to `<logFile>.1`. By copying: the server keeps its file
 * open and, since that was opened for appending, goes on at the new end.
 */
export async function boundLog(logFile: string): Promise<void> {
  if ((await logSize(logFile)) <= MAX_LOG_BYTES) return;
  await copyFile(logFile, `${logFile}.1`);
  await truncate(logFile);
}

/** Why process `pid`, whose log begins at `offset`, gave up. */
export async function lastComplaint(
  logFile: string,
  offset: number,
  pid: number | undefined,
): Promise<string> {
  const file = await open(logFile, 'r');
  try {
    const { size } = await file.stat();
    const from = Math.max(offset > size ? 0 : offset, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, size - from, from);
    return pickComplaint(buffer.toString('utf8', 0, bytesRead), pid);
  } finally {
    await file.close();
  }
}

/** The last fatal line, else the last line; of this process, if it got as far as to sign its lines. */
export function pickComplaint(log: string, pid: number | undefined): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const signed = lines.filter((line) => line.includes(`[${pid}]`));
  const own = signed.length > 0 ? signed : lines;
  const line = own.findLast((each) => /\b(FATAL|PANIC):/.test(each)) ?? own.at(-1);
  return line?.replace(/^.*?\b(FATAL|PANIC):\s*/, '').trim() ?? 'it said nothing';
}
