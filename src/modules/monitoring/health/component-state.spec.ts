import { observe, UNSEEN } from './component-state.js';
import type { CheckOutcome } from './health.types.js';

const up: CheckOutcome = { status: 'up', latencyMs: 3 };
const slow: CheckOutcome = { status: 'degraded', latencyMs: 900 };
const failed: CheckOutcome = { status: 'down', latencyMs: null, errorCode: 'TIMEOUT' };
const policy = { failuresToDown: 2, passesToUp: 2 };

/** Results one second apart, from 1,000 ms on. */
const after = (...outcomes: CheckOutcome[]) =>
  outcomes.reduce((state, outcome, i) => observe(state, outcome, (i + 1) * 1000, policy), UNSEEN);

describe(observe.name, () => {
  it('keeps its mind at the first failure and shows why', () =>
    expect(after(up, failed)).toMatchObject({
      status: 'up',
      sinceMs: 1000,
      consecutiveFailures: 1,
      errorCode: 'TIMEOUT',
    }));

  it('is down at the Nth failure in a row, since the first of them', () =>
    expect(after(up, failed, failed)).toMatchObject({
      status: 'down',
      sinceMs: 2000,
      consecutiveFailures: 2,
    }));

  it('does not add up failures that passes part', () =>
    expect(after(up, failed, up, failed)).toMatchObject({ status: 'up', consecutiveFailures: 1 }));

  it('is up again at the Mth pass in a row, since the first of them', () => {
    expect(after(failed, failed, up)).toMatchObject({ status: 'down', sinceMs: 1000 });
    expect(after(failed, failed, up, up)).toMatchObject({
      status: 'up',
      sinceMs: 3000,
      consecutiveFailures: 0,
    });
    expect(after(failed, failed, up, up).errorCode).toBeUndefined();
  });

  it('is degraded and recovers at once, since that very result', () => {
    expect(after(up, up, slow)).toMatchObject({ status: 'degraded', sinceMs: 3000 });
    expect(after(up, slow, up)).toMatchObject({ status: 'up', sinceMs: 3000 });
  });

  it('is unknown until it was seen, and by one failure no wiser', () => {
    expect(UNSEEN.status).toBe('unknown');
    expect(after(failed).status).toBe('unknown');
    expect(after(up).status).toBe('up');
  });
});
