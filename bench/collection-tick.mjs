// How long one collection tick keeps the event loop from its work, and whether it starts a child process.
//
// The real probes read the real machine, on a server that has counted requests of 500 routes. A timer of
// 1 ms runs meanwhile: the longest gap between two of its ticks is the longest block. Gaps of the same
// length without a collection are the machine's own and are shown beside it.
import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import 'reflect-metadata';

const BUDGET_MS = 10;
const TICKS = Number(process.env.TICKS ?? 40);

let children = 0;
for (const name of ['spawn', 'exec', 'execFile', 'fork', 'spawnSync', 'execSync', 'execFileSync']) {
  const original = childProcess[name];
  childProcess[name] = (...args) => {
    children += 1;
    return original(...args);
  };
}
syncBuiltinESMExports();

const base = '../.cache/bench/src';
const { EventBus, Instance, SystemClock } = await import(`${base}/core/index.js`);
const metrics = `${base}/modules/monitoring/metrics`;
const { Collector } = await import(`${metrics}/collector.js`);
const { EventLoopProbe } = await import(`${metrics}/probes/event-loop.probe.js`);
const { LinuxHostProbe } = await import(`${metrics}/probes/linux-host.probe.js`);
const { RequestHooks } = await import(`${metrics}/requests/request-hooks.js`);
const { RequestRecorder } = await import(`${metrics}/requests/request-recorder.js`);
const { toRouteMinutes } = await import(`${metrics}/requests/route-minutes.js`);
const { SinkBuffer } = await import(`${metrics}/sink-buffer.js`);
const { SnapshotReader } = await import(`${metrics}/snapshot-reader.js`);
const { SnapshotSources } = await import(`${metrics}/snapshot-sources.js`);

const clock = new SystemClock();
const recorder = new RequestRecorder(clock);
const sources = new SnapshotSources();
const eventLoop = new EventLoopProbe();
eventLoop.start();
const instance = new Instance('bench', 'boot', clock.now());
const database = { isConfigured: false };
const hooks = new RequestHooks(recorder, clock);
const reader = new SnapshotReader(
  clock,
  instance,
  new LinuxHostProbe(),
  eventLoop,
  recorder,
  hooks,
  sources,
  database,
);
const sink = { store: async () => {}, storeRouteMinutes: async () => {}, latest: async () => null };
const collector = new Collector(
  clock,
  instance,
  new EventBus(),
  reader,
  sources,
  recorder,
  new SinkBuffer(sink),
);

/** Twenty requests for each of 500 routes. */
function traffic() {
  for (let i = 0; i < 10_000; i++) {
    recorder.record(recorder.endpoint('GET', `/r/${i % 500}`), 200, (i * 7919) % 900, clock.monotonicMs());
  }
}

/** The longest time in ms that a timer of 1 ms had to wait while `work` ran, and how long `work` took. */
async function longestBlock(work) {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  await sleep(5);
  longest = 0;
  const startedMs = performance.now();
  await work();
  const tookMs = performance.now() - startedMs;
  await sleep(2);
  clearInterval(timer);
  return { longest, tookMs };
}

async function series(before, work) {
  const blocks = [];
  let took = 0;
  for (let tick = 0; tick < TICKS; tick++) {
    before();
    const { longest, tookMs } = await longestBlock(work);
    blocks.push(longest);
    took += tookMs;
  }
  blocks.sort((a, b) => a - b);
  return { median: blocks[Math.floor(TICKS / 2)], worst: blocks.at(-1), took: took / TICKS };
}

const nothing = () => {};
const collect = () => collector.collect({ atMs: clock.now(), lateMs: 0 });
const rows = [
  ['nothing (the machine itself)', await series(nothing, () => sleep(20))],
  ['collection tick', await series(traffic, collect)],
  ['minute of 500 routes', await series(traffic, () => toRouteMinutes(recorder.drain()))],
];
console.log(`${TICKS} ticks each, node ${process.versions.node}; longest block of the event loop in ms`);
console.log('work                            median    worst   lasts');
for (const [name, { median, worst, took }] of rows) {
  const figures = [median, worst, took].map((value) => value.toFixed(1).padStart(8));
  console.log(`${name.padEnd(30)}${figures.join('')}`);
}
const [, [, tick]] = rows;
const kept = tick.median <= BUDGET_MS && children === 0;
console.log(`child processes started: ${children}; budget ${BUDGET_MS} ms: ${kept ? 'kept' : 'MISSED'}`);
process.exit(kept ? 0 : 1);
