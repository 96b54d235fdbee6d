// Starts the built service as a stranger would: a new data folder, nothing else, and asks it for this
// machine's numbers. Prints what a first and a later start take.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const dataDirectory = mkdtempSync(join(tmpdir(), 'vigia-smoke-'));
chmodSync(dataDirectory, 0o755); // as root the server runs as another user; else its data would stay behind elsewhere
const READY_WITHIN_MS = 30_000;
const METRICS_WITHIN_MS = 20_000;

async function start() {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    cwd: root,
    env: { ...process.env, PORT: '0', DATA_DIR: dataDirectory, LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not ready within ${READY_WITHIN_MS} ms:\n${output}`)),
      READY_WITHIN_MS,
    );
    child.stdout.on('data', (bytes) => {
      output += bytes;
      const address = /ready at (\S+)/.exec(output);
      if (!address) return;
      clearTimeout(timer);
      resolve(address[1]);
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code}:\n${output}`)));
  });
  return {
    child,
    url,
    tookMs: Math.round(performance.now() - startedMs),
    admin: /administrator (\S+), password (\S+)/.exec(output),
  };
}

async function stop(child) {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const code = await exited;
  if (code !== 0) throw new Error(`stopped with exit code ${code}`);
}

async function json(url, init) {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return response.json();
}

async function hostMetrics(url, [, email, password]) {
  const { accessToken } = await json(`${url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  const deadline = performance.now() + METRICS_WITHIN_MS;
  for (;;) {
    const snapshot = await json(`${url}/api/v1/monitoring/metrics/current`, {
      headers: { authorization: `Bearer ${accessToken}` },
    });
    if (snapshot.memory?.total > 0 && snapshot.cpu?.usage !== null) return snapshot;
    if (performance.now() > deadline)
      throw new Error(`no real values within ${METRICS_WITHIN_MS} ms: ${JSON.stringify(snapshot)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

try {
  const first = await start();
  if (!first.admin) throw new Error('the first start printed no administrator');
  const { cpu, memory } = await hostMetrics(first.url, first.admin);
  await stop(first.child);
  const later = await start();
  if (later.admin) throw new Error('a later start printed the administrator again');
  await stop(later.child);
  process.stdout.write(
    `smoke: first start ${first.tookMs} ms, later start ${later.tookMs} ms; cpu ${cpu.usage} %, memory ${memory.used} of ${memory.total} bytes\n`,
  );
} finally {
  rmSync(dataDirectory, { recursive: true, force: true });
}
