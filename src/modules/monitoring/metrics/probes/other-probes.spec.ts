import { LoadProbe } from './load.probe.js';
import { NetworkProbe, parseInterfaceCounters } from './network.probe.js';
import { filesOf } from '../../../../../test/support/metrics-fixtures.js';
import { parseThreads, ProcessProbe } from './process.probe.js';

const netDev = (received: number, errors: number) => `Inter-|   Receive |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 99999999  231204    0    0    0     0          0         0 71123723  231204    0    0    0     0       0          0
  eth0:${received}   30 ${errors}    0    0     0          0         0  6000     60    0    0    0     0       0          0
  eth0.7: 5000   30    0    0    0     0          0         0  6000     60    0    0    0     0       0          0
docker0: 5000   30    0    0    0     0          0         0  6000     60    0    0    0     0       0          0
`;

describe(NetworkProbe.name, () => {
  it('adds up real interfaces: loopback, bridges and VLANs would count the same bytes again', () => {
    expect([...parseInterfaceCounters(netDev(1, 2))]).toEqual([['eth0', [1, 6_000, 30, 60, 2]]]);
  });

  it('gives rates from the second sample on', async () => {
    const files = { '/proc/net/dev': netDev(1_000, 0) };
    const probe = new NetworkProbe(filesOf(files));
    expect((await probe.sample(10_000)).receivedBytesPerSecond).toBeNull();
    files['/proc/net/dev'] = netDev(11_000, 5);
    expect(await probe.sample(20_000)).toEqual({
      receivedBytesPerSecond: 1_000,
      sentBytesPerSecond: 0,
      receivedPacketsPerSecond: 0,
      sentPacketsPerSecond: 0,
      errorsPerSecond: 0.5,
    });
  });

  it('is null, never 0, where it cannot be read', async () => {
    const probe = new NetworkProbe(filesOf({}));
    await probe.sample(10_000);
    expect(Object.values(await probe.sample(20_000))).toEqual(Array(5).fill(null));
  });
});

describe(LoadProbe.name, () => {
  it('reads the three averages', async () => {
    expect(
      await new LoadProbe(filesOf({ '/proc/loadavg': '0.32 1.5 12.19 1/166 16380\n' })).sample(),
    ).toEqual([0.32, 1.5, 12.19]);
  });

  it('is null where it cannot be read', async () => {
    expect(await new LoadProbe(filesOf({})).sample()).toEqual([null, null, null]);
  });
});

describe(ProcessProbe.name, () => {
  it('finds the thread count behind a process name that holds blanks and brackets', () => {
    const stat = '7 (my ) app) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 11 0 99\n';
    expect(parseThreads(stat)).toBe(11);
  });

  it('knows this very process', async () => {
    const sample = await new ProcessProbe().sample();
    expect(sample.rssBytes).toBeGreaterThan(1e6);
    expect(sample.heapLimitBytes).toBeGreaterThan(sample.heapUsedBytes ?? Infinity);
  });

  it('does not know the threads where /proc is absent', async () => {
    expect((await new ProcessProbe(filesOf({})).sample()).threads).toBeNull();
  });
});
