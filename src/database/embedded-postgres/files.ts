import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readFile, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from './errors.js';

/** Nothing that is built aside takes as long, so an older folder is what a killed start left. */
const ABANDONED_AFTER_MS = 10 * 60_000;

/** The text of a file, or undefined if there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function statIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Writes a new file beside `path` and forces it to disk; gives its name. The mode is exact. */
export async function writeBeside(path: string, text: string, mode: number): Promise<string> {
  const beside = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(beside, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return beside;
}

/** Replaces a file in one step: a reader, or a power cut, sees the old text or the new one. */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const beside = await writeBeside(path, text, mode);
  try {
    await rename(beside, path);
  } catch (error) {
    await unlink(beside);
    throw error;
  }
}

/** Makes a rename in `folder` survive a power cut. Windows has no such call. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a folder, if it is not there, that everybody may read, whatever the umask. */
export async function makeOpenFolder(path: string): Promise<void> {
  if (await mkdir(path, { recursive: true })) await chmod(path, 0o755);
}

/** A new folder beside `path` in which `path` is built before it is renamed into its place. */
export async function makeAside(path: string): Promise<string> {
  await removeAbandoned(path);
  return mkdtemp(`${path}.new-`);
}

async function removeAbandoned(path: string): Promise<void> {
  const names = await readdir(dirname(path));
  for (const name of names.filter((each) => each.startsWith(`${basename(path)}.new-`))) {
    const aside = join(dirname(path), name);
    const made = (await statIfPresent(aside))?.mtimeMs ?? Infinity;
    if (Date.now() - made > ABANDONED_AFTER_MS) await rm(aside, { recursive: true, force: true });
  }
}
