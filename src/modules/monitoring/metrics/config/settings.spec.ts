import { configBody } from './config.dto.js';
import { refuseInvertedRetention, settingsOf } from './settings.js';

const DAY_MS = 86_400_000;

describe(settingsOf.name, () => {
  it('takes the stored document first, then the environment, then what is shipped', () => {
    const defaults = { collectIntervalMs: 5_000 };
    expect(settingsOf({ healthIntervalMs: 7_000 }, defaults, 3)).toMatchObject({
      ...{ collectIntervalMs: 5_000, healthIntervalMs: 7_000, version: 3 },
      retention: { rawMs: 2 * DAY_MS, minuteMs: 30 * DAY_MS },
    });
    expect(settingsOf({ collectIntervalMs: 1_000 }, defaults, 1).collectIntervalMs).toBe(1_000);
    expect(settingsOf({}, {}, 0)).toMatchObject({ collectIntervalMs: 15_000, healthIntervalMs: 30_000 });
  });

  it('gives a document that its own schema accepts', () => {
    expect(configBody.safeParse(settingsOf({}, {}, 0)).success).toBe(true);
  });

  it('refuses to keep a coarse tier for less than the finer one it is made from', () => {
    const settings = settingsOf({ retention: { rawMs: 3 * DAY_MS, minuteMs: 2 * DAY_MS } }, {}, 0);
    expect(() => refuseInvertedRetention(settings)).toThrow(/retention\.minuteMs.*at least/);
    expect(() =>
      refuseInvertedRetention(settingsOf({ retention: { rawMs: 3 * DAY_MS, minuteMs: 3 * DAY_MS } }, {}, 0)),
    ).not.toThrow();
  });
});
