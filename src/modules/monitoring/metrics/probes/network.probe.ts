import type { Snapshot } from '../metrics.types.js';
import { CounterRates, type Counters } from './counter-rates.js';
import { readText, type ReadText } from './text-file.js';

/** Loopback, and virtual interfaces whose traffic passes a real one too: counting both would double it. */
const NOT_COUNTED =
  /^(lo|veth|docker|br-|virbr|ifb|dummy|tap|tun|wg|cni|flannel|cali|vxlan|bond\d|team\d|sit|gre)|[.@]/;

/** Bytes and packets received and sent, and errors, of each interface that counts. */
export function parseInterfaceCounters(netDev: string): Counters {
  const counters = new Map<string, readonly number[]>();
  for (const line of netDev.split('\n')) {
    const [name, columns] = line.split(':');
    if (name === undefined || columns === undefined || NOT_COUNTED.test(name.trim())) continue;
    const values = columns.trim().split(/\s+/).map(Number);
    const [
      received = 0,
      receivedPackets = 0,
      receiveErrors = 0,
      ,
      ,
      ,
      ,
      ,
      sent = 0,
      sentPackets = 0,
      sendErrors = 0,
    ] = values;
    counters.set(name.trim(), [received, sent, receivedPackets, sentPackets, receiveErrors + sendErrors]);
  }
  return counters;
}

/** Traffic of all interfaces together. */
export class NetworkProbe {
  private readonly rates = new CounterRates();

  constructor(private readonly read: ReadText = readText) {}

  /** @param atMs monotonic time of this reading */
  async sample(atMs: number): Promise<Snapshot['network']> {
    const counters = parseInterfaceCounters((await this.read('/proc/net/dev')) ?? '');
    const rates = [...this.rates.update(counters, atMs).values()];
    const sum = (column: number) =>
      rates.length === 0 ? null : rates.reduce((total, rate) => total + (rate[column] ?? 0), 0);
    return {
      receivedBytesPerSecond: sum(0),
      sentBytesPerSecond: sum(1),
      receivedPacketsPerSecond: sum(2),
      sentPacketsPerSecond: sum(3),
      errorsPerSecond: sum(4),
    };
  }
}
