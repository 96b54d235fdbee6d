import { chown, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Binaries } from './binaries.js';
import { EmbeddedPostgresError, codeOf } from './errors.js';
import { makeAside, syncFolder } from './files.js';
import { isCluster } from './layout.js';
import { complaintOf, runProgram } from './run-program.js';
import type { ServerUser } from './server-user.js';

/** Role (its owner) and name of the one database. */
export const ROLE = 'vigia';
export const DATABASE = 'vigia';

const UPGRADE_RUNBOOK = 'docs/operations/upgrade-embedded-postgresql.md';
const INITDB_TIMEOUT_MS = 120_000;

/** Makes the data folder unless there is one; refuses one of another major version. */
export async function ensureCluster(
  binaries: Binaries,
  clusterDirectory: string,
  user: ServerUser | undefined,
  password: string,
): Promise<void> {
  if (!(await isCluster(clusterDirectory))) {
    await createCluster(binaries, clusterDirectory, user, password);
  }
  await refuseOtherMajor(clusterDirectory, binaries.major);
}

async function refuseOtherMajor(clusterDirectory: string, major: number): Promise<void> {
  const found = (await readFile(join(clusterDirectory, 'PG_VERSION'), 'utf8')).trim();
  if (found === String(major)) return;
  throw new EmbeddedPostgresError(
    'WRONG_MAJOR',
    `the database in ${clusterDirectory} was made by PostgreSQL ${found}, but this version of Vigia brings ` +
      `PostgreSQL ${major}: follow ${UPGRADE_RUNBOOK}`,
  );
}

/** Builds aside and renames: a kill leaves no half cluster, and of two starts at once one wins. */
async function createCluster(
  binaries: Binaries,
  clusterDirectory: string,
  user: ServerUser | undefined,
  password: string,
): Promise<void> {
  const aside = await makeAside(clusterDirectory);
  try {
    await giveTo(aside, user);
    await writeFile(join(aside, 'password'), password, { mode: 0o600, flag: 'wx' });
    await giveTo(join(aside, 'password'), user);
    await initialise(binaries, aside, user);
    await putInPlace(join(aside, 'data'), clusterDirectory);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function giveTo(path: string, user: ServerUser | undefined): Promise<void> {
  if (user) await chown(path, user.uid, user.gid);
}

/**
 * The built-in C.UTF-8 locale sorts by code point, so that no update of a system or ICU library
 * can break an index, and yet knows upper and lower case of all of Unicode (plain C: of ASCII).
 * Data checksums are on by default since PostgreSQL 18.
 */
async function initialise(binaries: Binaries, aside: string, user: ServerUser | undefined): Promise<void> {
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = [`--username=${ROLE}`, `--pwfile=${join(aside, 'password')}`, '--auth=scram-sha-256'];
  const args = [`--pgdata=${join(aside, 'data')}`, ...access, ...locale, '--no-instructions'];
  try {
    await runProgram(binaries.initdb, args, { user, timeoutMs: INITDB_TIMEOUT_MS });
  } catch (error) {
    throw new EmbeddedPostgresError(
      'INITDB_FAILED',
      `a new database could not be made below ${dirname(aside)}: ${complaintOf(error)}`,
      { cause: error },
    );
  }
}

async function putInPlace(made: string, clusterDirectory: string): Promise<void> {
  try {
    await rename(made, clusterDirectory);
    await syncFolder(dirname(clusterDirectory));
  } catch (error) {
    const another = ['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error) ?? '');
    if (!another || !(await isCluster(clusterDirectory))) throw error;
  }
}
