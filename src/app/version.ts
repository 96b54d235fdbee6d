import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version in package.json, which lies two folders up from the source and three from the build. */
export const VERSION = readVersion(import.meta.dirname);

function readVersion(folder: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
    };
    if (name === 'vigia') return version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (dirname(folder) === folder) throw new Error('the package.json of vigia is missing');
  return readVersion(dirname(folder));
}
