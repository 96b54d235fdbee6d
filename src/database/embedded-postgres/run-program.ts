import { execFile } from 'node:child_process';
import { parse } from 'node:path';
import { promisify } from 'node:util';
import { reasonOf, textIn } from './errors.js';
import type { ServerUser } from './server-user.js';

const execute = promisify(execFile);

/**
 * What every PostgreSQL process is started with. Not our own environment: it holds secrets, which
 * the server's user could read in /proc, and PG* variables, which would change what the server does.
 * Messages stay English because we read a few of them.
 */
export function environmentFor(extra: Record<string, string> = {}): Record<string, string> {
  return { LC_ALL: 'C', TZ: 'UTC', ...extra };
}

/** How to start a program as `user`; the root folder, because the user may not be able to enter ours. */
export function spawnOptionsFor(program: string, user: ServerUser | undefined) {
  return { ...user, cwd: parse(program).root, windowsHide: true };
}

/** Runs a short-lived program and gives what it printed. Rejects when it fails or exceeds `timeoutMs`. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { user, timeoutMs }: { user: ServerUser | undefined; timeoutMs: number },
): Promise<string> {
  const { stdout } = await execute(program, args, {
    ...spawnOptionsFor(program, user),
    env: environmentFor(),
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  return stdout;
}

/** The program's own complaint if it made one, otherwise how it ended; in one line. */
export function complaintOf(error: unknown): string {
  const lines = (textIn(error, 'stderr') ?? '').split('\n').filter((line) => line.trim() !== '');
  const told = lines.find((line) => /error|fatal/i.test(line)) ?? lines.at(-1);
  return told?.trim() ?? reasonOf(error);
}
