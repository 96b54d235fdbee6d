import { readFile } from 'node:fs/promises';

/** How probes read `/proc` and `/sys`; null for a file that is absent or may not be read. */
export type ReadText = (path: string) => Promise<string | null>;

export const readText: ReadText = async (path) => {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null; // absent on this kernel or forbidden in this container: the value is then unknown
  }
};

/** The number in a file that holds nothing else; null for anything else, e.g. `max`. */
export function numberIn(text: string | null): number | null {
  return text !== null && /^\d+\s*$/.test(text) ? Number(text) : null;
}

/** The number after `key` at the start of a line, e.g. `MemTotal:  1234 kB`. */
export function fieldIn(text: string | null, key: string): number | null {
  if (text === null) return null;
  const start = text.startsWith(key) ? 0 : text.indexOf(`\n${key}`) + 1;
  if (start === 0 && !text.startsWith(key)) return null;
  const digits = /^\s*(\d+)/.exec(text.slice(start + key.length));
  return digits ? Number(digits[1]) : null;
}
