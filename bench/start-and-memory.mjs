// What a start takes and what an idle service holds, on the built application with its embedded database.
// First start: new data folder. Later start: the same folder, server stopped in between.
// Usage: node start-and-memory.mjs [ROUNDS] [IDLE_SECONDS]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');
const rounds = Number(process.argv[2] ?? 5);
const idleSeconds = Number(process.argv[3] ?? 60);
const MUST = { firstStartMs: 6_000, laterStartMs: 3_000, idleRssMb: 200 };

async function start(dataDirectory) {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    cwd: root,
    env: { ...process.env, PORT: '0', DATA_DIR: dataDirectory, LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (bytes) => /ready at/.test((output += bytes)) && resolve());
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  });
  return { child, tookMs: performance.now() - startedMs };
}

async function stop(child) {
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
}

const rssMb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const first = [];
const later = [];
const idle = [];
for (let round = 0; round < rounds; round++) {
  const folder = mkdtempSync(join(tmpdir(), 'vigia-bench-'));
  const a = await start(folder);
  first.push(a.tookMs);
  await stop(a.child);
  const b = await start(folder);
  later.push(b.tookMs);
  if (round === 0) {
    for (let second = 0; second < idleSeconds; second++) await sleep(1_000);
    idle.push(rssMb(b.child.pid));
  }
  await stop(b.child);
  rmSync(folder, { recursive: true, force: true });
}

const rows = [
  ['first start until ready', median(first), MUST.firstStartMs, 'ms'],
  ['later start until ready', median(later), MUST.laterStartMs, 'ms'],
  [`resident memory, idle ${idleSeconds} s`, idle[0], MUST.idleRssMb, 'MB'],
];
for (const [what, value, must, unit] of rows)
  console.log(`${what}: ${value.toFixed(0)} ${unit} (must ≤ ${must})`);
process.exit(rows.some(([, value, must]) => value > must) ? 1 : 0);
