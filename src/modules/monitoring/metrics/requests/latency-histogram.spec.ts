import fc from 'fast-check';
import { decodeFromCompressedBase64, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { LatencyHistogram } from './latency-histogram.js';

function histogramOf(latenciesMs: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const ms of latenciesMs) histogram.record(ms);
  return histogram;
}

/** The exact quantile by nearest rank. */
function exact(latenciesMs: readonly number[], percent: number): number {
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? NaN;
}

/** A long tail, as real latencies have it. */
function latencies(count: number, scale: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => scale * (1 + ((i * 7919) % 1000) / 100 + (i % 50 === 0 ? 90 : 0)),
  );
}

describe(LatencyHistogram.name, () => {
  it('keeps every latency to within 1 %, from microseconds to half an hour', () => {
    const anyLatency = fc.double({ min: 0.2, max: 1_800_000, noNaN: true });
    fc.assert(
      fc.property(anyLatency, (ms) => {
        const kept = histogramOf([ms]).toHdr().getValueAtPercentile(50) / 1000;
        expect(Math.abs(kept - ms)).toBeLessThanOrEqual(ms * 0.01 + 0.001);
      }),
    );
  });

  it('answers the quantiles of two merged instances as if it had been one', () => {
    const slow = latencies(10_000, 30);
    const quick = latencies(90_000, 1);
    const merged = histogramOf(quick);
    merged.add(histogramOf(slow));
    for (const percent of [50, 95, 99]) {
      const truth = exact([...slow, ...quick], percent);
      expect(merged.toHdr().getValueAtPercentile(percent) / 1000).toBeCloseTo(
        truth,
        -Math.log10(truth * 0.04),
      );
    }
  });

  it('merges to the same after a round through its stored form', () => {
    const [one, other] = [latencies(1_000, 1), latencies(500, 200)];
    const stored = [one, other].map((part) => encodeIntoCompressedBase64(histogramOf(part).toHdr()));
    const [first, second] = stored.map((text) => decodeFromCompressedBase64(text, 32));
    first!.add(second!);
    const direct = histogramOf([...one, ...other]).toHdr();
    for (const percent of [1, 50, 95, 99, 100]) {
      expect(first!.getValueAtPercentile(percent)).toBe(direct.getValueAtPercentile(percent));
    }
    expect(first!.totalCount).toBe(1_500);
  });

  it('counts what lasted longer than it can hold as its longest, instead of failing', () => {
    const hdr = histogramOf([5e9, 0, Number.MAX_VALUE]).toHdr();
    expect(hdr.totalCount).toBe(3);
    expect(hdr.maxValue / 1000).toBeGreaterThan(1_780_000);
  });

  it('is empty again after a clear', () => {
    const histogram = histogramOf(latencies(100, 10));
    histogram.clear();
    expect(histogram.toHdr().totalCount).toBe(0);
  });
});
