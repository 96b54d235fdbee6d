import fc from 'fast-check';
import { CounterRates, growth } from './counter-rates.js';

const reading = (bytes: number) => new Map([['eth0', [bytes]]]);

describe(CounterRates.name, () => {
  it('gives no rate at the first sample', () => {
    expect(new CounterRates().update(reading(5_000_000), 1_000).size).toBe(0);
  });

  it('divides by the time that really passed, not by the interval that was asked for', () => {
    const rates = new CounterRates();
    rates.update(reading(1_000), 10_000);
    expect(rates.update(reading(4_000), 40_000).get('eth0')).toEqual([100]);
  });

  it('takes a counter that fell as one that began anew, never as negative traffic', () => {
    const rates = new CounterRates();
    rates.update(reading(1_000_000), 10_000);
    expect(rates.update(reading(500), 15_000).get('eth0')).toEqual([100]);
  });

  it('gives a device that appeared between two samples no rate yet', () => {
    const rates = new CounterRates();
    rates.update(reading(0), 10_000);
    const now = new Map([
      ['eth0', [15_000]],
      ['eth1', [9_999_999]],
    ]);
    expect([...rates.update(now, 25_000)]).toEqual([['eth0', [1_000]]]);
  });

  it('keeps the last rate when asked again at once, instead of dividing by next to nothing', () => {
    const rates = new CounterRates();
    rates.update(reading(0), 10_000);
    rates.update(reading(15_000), 25_000);
    expect(rates.update(reading(90_000), 25_010).get('eth0')).toEqual([1_000]);
  });

  it('never gives negative growth', () => {
    fc.assert(fc.property(fc.nat(), fc.nat(), (before, now) => growth(before, now) >= 0));
  });
});
