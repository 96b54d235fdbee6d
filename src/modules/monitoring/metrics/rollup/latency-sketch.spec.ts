import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import fc from 'fast-check';
import { deflateSync } from 'node:zlib';
import { LATENCY_HISTOGRAM, LatencyHistogram } from '../requests/latency-histogram.js';
import { LatencySketch, SketchDamagedError } from './latency-sketch.js';

function encoded(latenciesMs: readonly number[]): Buffer {
  const histogram = new LatencyHistogram();
  for (const ms of latenciesMs) histogram.record(ms);
  return Buffer.from(encodeIntoCompressedBase64(histogram.toHdr()), 'base64');
}

const latency = fc.oneof(
  fc.double({ min: 0, max: 50, noNaN: true }),
  fc.double({ min: 0, max: 2_000_000, noNaN: true }),
);
const latencies = fc.array(latency, { minLength: 1, maxLength: 300 });

describe(LatencySketch.name, () => {
  it('holds after adding up exactly what one histogram of all values would hold', () => {
    fc.assert(
      fc.property(fc.array(latencies, { minLength: 1, maxLength: 6 }), (parts) => {
        const sum = new LatencySketch();
        for (const part of parts) sum.add(encoded(part));
        expect(sum.encode()).toEqual(encoded(parts.flat()));
        expect(sum.count).toBe(parts.flat().length);
      }),
    );
  });

  it('answers the quantiles that the library answers, also after a trip through its own encoding', () => {
    fc.assert(
      fc.property(latencies, fc.integer({ min: 1, max: 100 }), (values, percentile) => {
        const library = new LatencyHistogram();
        for (const ms of values) library.record(ms);
        const sketch = LatencySketch.of(LatencySketch.of(encoded(values)).encode());
        expect(sketch.quantileMs(percentile)).toBe(library.toHdr().getValueAtPercentile(percentile) / 1000);
      }),
    );
  });

  it('counts beyond what 32 bits hold', () => {
    const histogram = build({ ...LATENCY_HISTOGRAM, bitBucketSize: 64 });
    histogram.recordValueWithCount(5_000, 3_000_000_000);
    const bytes = Buffer.from(encodeIntoCompressedBase64(histogram), 'base64');
    expect(LatencySketch.of(bytes).add(bytes).count).toBe(6_000_000_000);
  });

  it('answers 0 for nothing', () => {
    expect([new LatencySketch().quantileMs(99), new LatencySketch().count]).toEqual([0, 0]);
  });

  it('refuses damaged bytes instead of counting them, in bounded time and memory', () => {
    const good = encoded([1, 20, 300]);
    for (let length = 0; length < good.length; length++) {
      expect(() => LatencySketch.of(good.subarray(0, length))).toThrow();
    }
    const envelope = (body: Buffer) => {
      const packed = deflateSync(body);
      const head = Buffer.alloc(8);
      head.writeInt32BE(0x1c849314, 0);
      head.writeInt32BE(packed.length, 4);
      return Buffer.concat([head, packed]);
    };
    const body = (digits: number, words: Buffer) => {
      const head = Buffer.alloc(40);
      head.writeInt32BE(0x1c849313, 0);
      head.writeInt32BE(words.length, 4);
      head.writeInt32BE(digits, 12);
      return Buffer.concat([head, words]);
    };
    expect(() => LatencySketch.of(envelope(body(3, Buffer.from([2]))))).toThrow(SketchDamagedError);
    expect(() => LatencySketch.of(envelope(body(2, Buffer.from([0xff]))))).toThrow(SketchDamagedError);
    // 300 million empty slots in five bytes.
    expect(() => LatencySketch.of(envelope(body(2, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01]))))).toThrow(
      SketchDamagedError,
    );
    expect(() => LatencySketch.of(envelope(Buffer.alloc(50_000_000)))).toThrow();
  });
});
