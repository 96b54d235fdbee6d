import { createHash } from 'node:crypto';
import { access, constants, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EmbeddedPostgresError, codeOf } from './errors.js';
import { makeOpenFolder, readIfPresent, replaceFile, statIfPresent } from './files.js';
import { NOBODY, firstBlockedFolder, isRoot, serverUserFor } from './server-user.js';
import type { ServerUser } from './server-user.js';

/** Where root keeps what the server's user must reach when DATA_DIR lies in a closed folder. */
export const SYSTEM_DIRECTORY = '/var/lib/vigia';

/** Beside a cluster outside of DATA_DIR: names the DATA_DIR that it belongs to. */
const ORIGIN_FILE = 'data-dir';

/** `DATA_DIR/postgres.json`: where the database lies and which port its clients know. */
export interface RememberedState {
  readonly dataDirectory: string;
  readonly port: number;
  readonly major: number;
}

/** Every path of one embedded database, and who runs it. */
export interface Layout {
  /** PostgreSQL's data folder. */
  readonly clusterDirectory: string;
  readonly stateFile: string;
  readonly passwordFile: string;
  readonly logFile: string;
  /** Where copies of the programs go when those of node_modules cannot be used. */
  readonly copiesDirectory: string;
  /** Undefined: this process' own user. */
  readonly user: ServerUser | undefined;
  readonly remembered: RememberedState | undefined;
}

/** Makes DATA_DIR if need be and decides where the cluster lies. Throws an error of one clear line. */
export async function planLayout(dataDirectory: string, systemDirectory: string): Promise<Layout> {
  await mkdir(dataDirectory, { recursive: true });
  const root = await realpath(dataDirectory);
  await access(root, constants.R_OK | constants.W_OK | constants.X_OK);
  const stateFile = join(root, 'postgres.json');
  const remembered = parseState(await readIfPresent(stateFile));
  const clusterDirectory = await findCluster(root, systemDirectory, remembered?.dataDirectory);
  const user = serverUserFor(clusterDirectory, await statIfPresent(clusterDirectory));
  await makeWayTo(clusterDirectory, root, user);
  return {
    clusterDirectory,
    stateFile,
    passwordFile: join(root, 'secrets', 'postgres-password'),
    logFile: join(root, 'postgres.log'),
    copiesDirectory: isRoot() ? systemDirectory : root,
    user: user && { uid: user.uid, gid: user.gid },
    remembered,
  };
}

/** True once `initdb` has finished there: the folder is renamed into its place as the last step. */
export async function isCluster(directory: string): Promise<boolean> {
  try {
    return (await statIfPresent(join(directory, 'PG_VERSION'))) !== undefined;
  } catch (error) {
    if (codeOf(error) === 'EACCES') return true; // Another user's: `serverUserFor` will say so.
    throw error;
  }
}

/** An unreadable file is no catastrophe: the port is then chosen anew and the places are searched. */
export function parseState(text: string | undefined): RememberedState | undefined {
  try {
    const parsed = JSON.parse(text ?? 'null') as Partial<RememberedState> | null;
    const { dataDirectory, port, major } = parsed ?? {};
    if (typeof dataDirectory !== 'string' || !Number.isInteger(port) || !Number.isInteger(major)) return;
    return { dataDirectory, port: Number(port), major: Number(major) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** `<systemDirectory>/<hash of DATA_DIR's real path>/postgres`: two checkouts never meet there. */
export function systemClusterDirectory(root: string, systemDirectory: string): string {
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 16);
  return join(systemDirectory, hash, 'postgres');
}

/**
 * A cluster below DATA_DIR wins over the remembered path, so that a moved or copied DATA_DIR brings
 * its own database along. Only without any trace of one may a new one be made.
 */
async function findCluster(root: string, systemDirectory: string, pointer?: string): Promise<string> {
  const inside = join(root, 'postgres');
  const outside = systemClusterDirectory(root, systemDirectory);
  if (await isCluster(inside)) return inside;
  if (pointer) await refuseBrokenPointer(root, pointer);
  if (pointer) return pointer;
  if (await isCluster(outside)) return outside;
  return isRoot() && (await firstBlockedFolder(root, NOBODY)) ? outside : inside;
}

async function refuseBrokenPointer(root: string, pointer: string): Promise<void> {
  const forget = `delete ${join(root, 'postgres.json')} to begin with an empty one`;
  if (!(await isCluster(pointer))) {
    throw new EmbeddedPostgresError(
      'DATA_MISSING',
      `the database of ${root} should be in ${pointer}, but is not there: bring it back, or ${forget}`,
    );
  }
  const owner = await ownerOf(pointer);
  if (owner === root || owner === undefined) return;
  throw new EmbeddedPostgresError(
    'DATA_SHARED',
    `${root} is a copy of ${owner} and would use its database in ${pointer}: ${forget}`,
  );
}

/** The DATA_DIR that uses this cluster; undefined if that one was moved away (and is now ours). */
async function ownerOf(pointer: string): Promise<string | undefined> {
  const origin = await readIfPresent(join(dirname(pointer), ORIGIN_FILE));
  if (origin === undefined) return dirname(pointer); // It lies inside of its DATA_DIR.
  const theirs = parseState(await readIfPresent(join(origin, 'postgres.json')));
  return theirs?.dataDirectory === pointer ? origin : undefined;
}

async function makeWayTo(cluster: string, root: string, user: ServerUser | undefined): Promise<void> {
  const parent = dirname(cluster);
  if (parent !== root) await makeSystemFolder(parent, root);
  const blocked = user && (await firstBlockedFolder(parent, user));
  if (!blocked) return;
  throw new EmbeddedPostgresError(
    'DATA_UNREACHABLE',
    `the server's user (uid ${user.uid}) cannot reach the database in ${cluster}: ` +
      `let it pass through ${blocked} (chmod o+x ${blocked})`,
  );
}

async function makeSystemFolder(folder: string, root: string): Promise<void> {
  await makeOpenFolder(dirname(folder));
  await makeOpenFolder(folder);
  await replaceFile(join(folder, ORIGIN_FILE), root, 0o644);
}
