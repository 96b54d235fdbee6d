import { build, type Histogram } from 'hdr-histogram-js';

/**
 * The shape of every latency histogram, in microseconds: 1 % error up to 30 minutes. All must share
 * it, so that those of several minutes and instances can be added slot by slot.
 */
export const LATENCY_HISTOGRAM = {
  lowestDiscernibleValue: 1,
  highestTrackableValue: 1_800_000_000,
  numberOfSignificantValueDigits: 2,
} as const;

const HIGHEST_MICROS = LATENCY_HISTOGRAM.highestTrackableValue;
/** 128 slots hold latencies below 128 µs; most answers end below 8 ms, which is slot 870. */
const FIRST_SLOTS = 1024;

/**
 * Counts latencies in the slots of an HDR histogram of two digits, in a typed array that grows with
 * the longest latency. Recording costs 4 ns, where hdr-histogram-js's own takes 35 to 160; its
 * percentiles and its encoding are used once a minute, through `toHdr`.
 */
export class LatencyHistogram {
  private counts = new Uint32Array(FIRST_SLOTS);
  private highestSlot = -1;

  /** @param ms a latency beyond 30 minutes counts as 30 minutes */
  record(ms: number): void {
    const slot = slotOf(ms);
    if (slot > this.highestSlot) this.reach(slot);
    this.counts[slot]!++;
  }

  add(other: LatencyHistogram): void {
    if (other.highestSlot > this.highestSlot) this.reach(other.highestSlot);
    for (let slot = 0; slot <= other.highestSlot; slot++) this.counts[slot]! += other.counts[slot]!;
  }

  clear(): void {
    this.counts.fill(0, 0, this.highestSlot + 1);
    this.highestSlot = -1;
  }

  /** The same counts as a histogram of hdr-histogram-js, which merges, encodes and answers quantiles. */
  toHdr(): Histogram {
    const hdr = build({ ...LATENCY_HISTOGRAM, bitBucketSize: 32 });
    for (let slot = 0; slot <= this.highestSlot; slot++) {
      const count = this.counts[slot]!;
      if (count > 0) hdr.recordValueWithCount(lowestOf(slot), count);
    }
    return hdr;
  }

  private reach(slot: number): void {
    this.highestSlot = slot;
    if (slot < this.counts.length) return;
    const grown = new Uint32Array(Math.max(slot + 1, this.counts.length * 2));
    grown.set(this.counts);
    this.counts = grown;
  }
}

/** Slots are 1 µs wide below 256 µs, then 128 to each doubling: HDR's layout for two digits. */
function slotOf(ms: number): number {
  const micros = ms * 1000 < HIGHEST_MICROS ? (ms * 1000) | 0 : HIGHEST_MICROS;
  const doublings = 24 - Math.clz32(micros | 255);
  return (doublings << 7) + (micros >>> doublings);
}

function lowestOf(slot: number): number {
  const doublings = slot < 256 ? 0 : (slot >>> 7) - 1;
  return (slot - (doublings << 7)) * 2 ** doublings;
}
