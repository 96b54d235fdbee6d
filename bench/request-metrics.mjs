// CPU per request that measuring requests costs, over bare Nest + Fastify.
//
// Every contestant is a process of its own and gets the same fixed number of requests from a load
// process of its own; what counts is the CPU time the server used for them, which a noisy machine
// disturbs far less than requests per second. Rounds are interleaved. The least of all rounds is the
// figure that a busy machine distorts least; the median decides.
import autocannon from 'autocannon';
import { fork } from 'node:child_process';
import { once } from 'node:events';

const CONTESTANTS = ['bare', 'vigia', 'prom-client'];
const ROUNDS = Number(process.env.ROUNDS ?? 7);
const REQUESTS = Number(process.env.REQUESTS ?? 60_000);
const WARM_UP = 30_000;
const BUDGET_MICROS = 6;

if (process.argv[2] === 'load') {
  await autocannon({ url: process.argv[3], connections: 64, amount: Number(process.argv[4]) });
  process.exit(0);
}

async function start(name) {
  const server = fork(new URL('servers/request-metrics.mjs', import.meta.url), [name]);
  server.once('exit', (code) => {
    console.error(`${name} ended with ${code}`);
    process.exit(1);
  });
  const [{ port }] = await once(server, 'message');
  return { name, server, url: `http://127.0.0.1:${port}/hello/you`, samples: [] };
}

async function load({ url }, amount) {
  const child = fork(new URL(import.meta.url), ['load', url, String(amount)], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the load process ended with ${code}`);
}

async function usage({ server }) {
  server.send('usage');
  const [{ micros }] = await once(server, 'message');
  return micros;
}

async function measure(contestant) {
  const before = await usage(contestant);
  await load(contestant, REQUESTS);
  contestant.samples.push(((await usage(contestant)) - before) / REQUESTS);
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const show = (value) => value.toFixed(1).padStart(7);

const contestants = [];
for (const name of CONTESTANTS) contestants.push(await start(name));
for (const contestant of contestants) await load(contestant, WARM_UP);
for (let round = 0; round < ROUNDS; round++) {
  // Another order each round, so that none always follows the same one.
  for (let i = 0; i < contestants.length; i++) await measure(contestants[(i + round) % contestants.length]);
}

const [bare, vigia] = contestants;
const overBare = ({ samples }, of) => of(samples) - of(bare.samples);
const least = (values) => Math.min(...values);
console.log(
  `${ROUNDS} rounds of ${REQUESTS} requests, 64 connections, node ${process.versions.node}; CPU µs per request`,
);
console.log('contestant    median  over bare  × bare   least  over bare');
for (const contestant of contestants) {
  const { name, samples } = contestant;
  const ratio = (median(samples) / median(bare.samples)).toFixed(2).padStart(8);
  const medians = `${show(median(samples))}    ${show(overBare(contestant, median))}${ratio}`;
  console.log(
    `${name.padEnd(12)} ${medians} ${show(least(samples))}    ${show(overBare(contestant, least))}`,
  );
}
const over = overBare(vigia, median);
console.log(
  `budget: ${BUDGET_MICROS} µs over bare, ours ${over.toFixed(1)}: ${over <= BUDGET_MICROS ? 'kept' : 'MISSED'}`,
);
for (const { server } of contestants) server.removeAllListeners('exit').disconnect();
process.exit(over <= BUDGET_MICROS ? 0 : 1);
