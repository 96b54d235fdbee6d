import { FakeClock } from '../../../../../test/support/fake-clock.js';
import { RateLimitedError } from '../../../../core/index.js';
import { WideQuestions } from './wide-questions.js';

/** A question that is answered when the test says so. */
function question() {
  let answer!: () => void;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  return { answer, ask: jest.fn(() => answered) };
}

describe(WideQuestions.name, () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('lets four run at a time and the next one in when one has ended', async () => {
    const wide = new WideQuestions(new FakeClock());
    const questions = Array.from({ length: 6 }, question);
    const runs = questions.map(({ ask }) => wide.run(ask));
    await jest.advanceTimersByTimeAsync(0);
    expect(questions.map(({ ask }) => ask.mock.calls.length)).toEqual([1, 1, 1, 1, 0, 0]);
    questions[2]!.answer();
    await runs[2];
    await jest.advanceTimersByTimeAsync(0);
    expect(questions.map(({ ask }) => ask.mock.calls.length)).toEqual([1, 1, 1, 1, 1, 0]);
    questions.forEach(({ answer }) => answer());
    await Promise.all(runs);
    expect(questions[5]!.ask).toHaveBeenCalledTimes(1);
  });

  it('gives the turn of one that failed to the next', async () => {
    const wide = new WideQuestions(new FakeClock());
    for (let i = 0; i < 10; i++)
      await expect(wide.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(wide.run(async () => 7)).resolves.toBe(7);
  });

  it('refuses one whose turn does not come within 400 ms, and any beyond 64 that wait', async () => {
    const wide = new WideQuestions(new FakeClock());
    const slow = question();
    for (let i = 0; i < 4; i++) void wide.run(slow.ask);
    const waiting = Array.from({ length: 64 }, () => wide.run(slow.ask).catch((error: unknown) => error));
    await expect(wide.run(slow.ask)).rejects.toThrow(RateLimitedError);
    await jest.advanceTimersByTimeAsync(399);
    expect(await Promise.race([waiting[0], Promise.resolve('waits')])).toBe('waits');
    await jest.advanceTimersByTimeAsync(1);
    for (const outcome of await Promise.all(waiting))
      expect(outcome).toMatchObject({ status: 429, code: 'RATE_LIMITED', retryAfterMs: 2_000 });
    expect(slow.ask).toHaveBeenCalledTimes(4);
  });
});
