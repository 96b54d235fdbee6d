import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmbeddedPostgresError } from './errors.js';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. "nobody" is there on every Linux, so no account has to be made. */
export const NOBODY: ServerUser = { uid: 65534, gid: 65534 };

/** What `stat` says of a folder, as far as it decides who may pass through it. */
export interface Permissions extends ServerUser {
  readonly mode: number;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The user that must run the server of this folder; `undefined` means this process' own. Root takes
 * the folder's owner, so that `sudo npm start` also works on a database that an ordinary user made.
 * `owner` is undefined while the folder does not exist. Throws `WRONG_OWNER`.
 */
export function serverUserFor(directory: string, owner: ServerUser | undefined): ServerUser | undefined {
  const own = process.getuid?.();
  if (own === undefined) return undefined;
  if (own === 0 && owner?.uid !== 0) return owner ?? NOBODY;
  if (own !== 0 && (owner?.uid ?? own) === own) return undefined;
  const wanted = own === 0 ? `${NOBODY.uid}:${NOBODY.gid}` : `${own}`;
  throw new EmbeddedPostgresError(
    'WRONG_OWNER',
    `the database in ${directory} belongs to uid ${owner?.uid}, and a process of uid ${own} cannot run it: ` +
      `start Vigia as its owner, or hand it over with: chown -R ${wanted} ${directory}`,
  );
}

/** The first folder on the way to `directory` (itself included) which `user` may not pass through. */
export async function firstBlockedFolder(directory: string, user: ServerUser): Promise<string | undefined> {
  for (const folder of wayTo(directory)) {
    if (!maySearch(await stat(folder), user)) return folder;
  }
  return undefined;
}

/** Access lists are not read: they are rare, and then PostgreSQL itself says what it cannot open. */
export function maySearch({ mode, uid, gid }: Permissions, user: ServerUser): boolean {
  if (uid === user.uid) return (mode & 0o100) !== 0;
  if (gid === user.gid) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}

function wayTo(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [...wayTo(parent), directory];
}
