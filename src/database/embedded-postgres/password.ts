import { randomBytes } from 'node:crypto';
import { link, mkdir, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmbeddedPostgresError, codeOf } from './errors.js';
import { readIfPresent, syncFolder, writeBeside } from './files.js';
import { isCluster } from './layout.js';

/** 256 bits: nobody guesses it, however often a local user may try. */
const PASSWORD_BYTES = 32;

/**
 * The database's password from its file (0600), made together with a new database.
 * Throws `PASSWORD_LOST` if there is a database, but no password.
 */
export async function obtainPassword(file: string, clusterDirectory: string): Promise<string> {
  const known = await readPassword(file);
  if (known) return known;
  if (!(await isCluster(clusterDirectory))) await createPassword(file);
  // Also after we saw a cluster: another start may have made both since our first look.
  const made = await readPassword(file);
  if (made) return made;
  throw new EmbeddedPostgresError(
    'PASSWORD_LOST',
    `there is a database in ${clusterDirectory}, but its password file ${file} is missing: put it back, ` +
      'or set a new password as docs/operations/embedded-postgresql-password.md says',
  );
}

async function readPassword(file: string): Promise<string | undefined> {
  return (await readIfPresent(file))?.trim();
}

/** `link` never replaces: of two starts at once both use the password of the first. */
async function createPassword(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const beside = await writeBeside(file, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`, 0o600);
  try {
    await link(beside, file);
    await syncFolder(dirname(file));
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(beside);
  }
}
