import { definitionOf, METRIC_CATALOGUE, samplesOf } from './metric-catalogue.js';
import type { Snapshot } from './metrics.types.js';
import { snapshotFixture } from '../../../../test/support/metrics-fixtures.js';

const NO_AMOUNTS = { requests: null, slowQueries: null, cacheEvictions: null };
const CONTRACT_NAMES = [
  ...[
    'cpu.usage_percent',
    'cpu.load_1m',
    'memory.used_percent',
    'disk.used_percent',
    'process.event_loop_delay_p99_ms',
  ],
  ...['requests.error_percent', 'requests.client_error_percent', 'database.latency_ms', 'cache.hit_percent'],
  ...['check.latency_ms', 'component.status'],
];

describe('the catalogue', () => {
  it('has the names that the contract promises, each once', () => {
    const names = METRIC_CATALOGUE.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(CONTRACT_NAMES));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+(\.[a-z0-9_]+)+$/);
  });

  it('calls a level a gauge, and an amount of one interval a counter', () => {
    const of = (name: string) => [definitionOf(name)?.kind, definitionOf(name)?.merge];
    for (const name of [
      'requests.active',
      'database.pool_size',
      'process.connections',
      'cache.entries',
      'sockets.rooms',
    ])
      expect(of(name)).toEqual(['gauge', 'sum']);
    for (const name of ['requests.total', 'database.slow_queries', 'cache.evictions'])
      expect(of(name)).toEqual(['counter', 'sum']);
    expect(of('requests.per_minute')).toEqual(['gauge', 'sum']);
    const host = METRIC_CATALOGUE.filter(({ name }) => /^(cpu|memory|disk|network)\./.test(name));
    expect(host.length).toBeGreaterThan(20);
    for (const { name } of host) expect(of(name)).toEqual(['gauge', 'mean']);
  });

  it('knows every gauge of the business', () => {
    expect(definitionOf('business.anything')).toMatchObject({ name: 'business.anything', kind: 'gauge' });
    expect(definitionOf('unheard.of')).toBeUndefined();
  });
});

describe(samplesOf.name, () => {
  it('has a definition for every sample it makes', () => {
    const amounts = { requests: 3, slowQueries: 1, cacheEvictions: 2 };
    const samples = samplesOf(snapshotFixture(), amounts, { orders: 7 });
    expect(samples.length).toBeGreaterThan(50);
    expect(samples.filter(({ name }) => !definitionOf(name))).toEqual([]);
  });

  it('has no sample, never a zero, for what could not be read', () => {
    const blind: Snapshot = {
      ...snapshotFixture(),
      cpu: { usage: null, load: [null, null, null], cores: null, frequencyMhz: null },
      database: null,
      disk: [],
    };
    const names = samplesOf(blind, NO_AMOUNTS, {}).map(({ name }) => name);
    expect(names.filter((name) => /^(cpu|database|disk)\./.test(name))).toEqual([]);
    expect(names).not.toContain('requests.total');
  });

  it('keeps the zeros that were read', () => {
    const idle = { ...snapshotFixture(), requests: { ...snapshotFixture().requests, active: 0 } };
    expect(samplesOf(idle, NO_AMOUNTS, {})).toContainEqual({ name: 'requests.active', labels: {}, value: 0 });
  });

  it('labels each disk by its mount', () => {
    const samples = samplesOf(snapshotFixture(), NO_AMOUNTS, {}).filter(
      ({ name }) => name === 'disk.used_percent',
    );
    expect(samples.map(({ labels }) => labels)).toEqual([{ mount: '/' }, { mount: '/data' }]);
  });

  it('does not store again what other programs posted', () => {
    const snapshot = { ...snapshotFixture(), business: { posted: 1, own: 2 } };
    const business = samplesOf(snapshot, NO_AMOUNTS, { own: 2 }).filter(({ name }) =>
      name.startsWith('business.'),
    );
    expect(business).toEqual([{ name: 'business.own', labels: {}, value: 2 }]);
  });
});
