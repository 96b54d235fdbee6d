import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const SECRET_BYTES = 32;

/**
 * A secret of the embedded mode: read from `DATA_DIR/secrets/<name>`, made there the first time.
 * Folder 0700, file 0600. Two starts at once end up with the same one, and a kill in between leaves
 * either no secret or a whole one.
 * @returns 32 random bytes in base64
 */
export async function generatedSecret(dataDirectory: string, name: string): Promise<string> {
  const folder = join(dataDirectory, 'secrets');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  if ((await readIfThere(path)) === undefined)
    await place(path, randomBytes(SECRET_BYTES).toString('base64'));
  const secret = (await readFile(path, 'utf8')).trim();
  if (Buffer.from(secret, 'base64').length === SECRET_BYTES) return secret;
  throw new Error(
    `${path} is not ${SECRET_BYTES} bytes in base64: restore it, or remove it to have a new one made`,
  );
}

/** Writes aside, then links: unlike a rename, a link does not replace what another start has placed. */
async function place(path: string, secret: string): Promise<void> {
  const aside = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(aside, 'wx', 0o600);
  try {
    await file.writeFile(secret);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(aside);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
