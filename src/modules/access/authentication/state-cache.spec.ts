import { StateCache } from './state-cache.js';

interface Row {
  readonly owner: string;
}

function setUp(maxEntries = 10) {
  const rows = new Map<string, Row>([['a', { owner: 'ann' }]]);
  const world = { reads: 0, trusted: true, hold: Promise.resolve() };
  const cache = new StateCache<Row>(
    async (id) => {
      world.reads += 1;
      const row = rows.get(id) ?? null;
      await world.hold;
      return row;
    },
    () => world.trusted,
    maxEntries,
  );
  return { rows, world, cache };
}

describe(StateCache.name, () => {
  it('reads a row once, also for many who ask together', async () => {
    const { world, cache } = setUp();
    await Promise.all(Array.from({ length: 20 }, () => cache.get('a')));
    expect(cache.peek('a')).toEqual({ owner: 'ann' });
    expect(world.reads).toBe(1);
  });

  it('reads again after an invalidation, of one, of all, or of some', async () => {
    const { world, cache } = setUp();
    const invalidations = [
      () => cache.invalidate('a'),
      () => cache.invalidate(null),
      () => cache.invalidateWhere(({ owner }) => owner === 'ann'),
    ];
    await cache.get('a');
    for (const invalidate of invalidations) {
      const { reads } = world;
      invalidate();
      expect(cache.peek('a')).toBeUndefined();
      await cache.get('a');
      expect(world.reads).toBe(reads + 1);
    }
  });

  it('does not keep a row that was being read when it changed, nor give it to those who ask afterwards', async () => {
    const { rows, world, cache } = setUp();
    let finish = (): void => {};
    world.hold = new Promise((resolve) => (finish = resolve));
    const before = cache.get('a');
    rows.delete('a');
    cache.invalidate('a');
    world.hold = Promise.resolve();
    expect(await cache.get('a')).toBeNull();
    finish();
    expect(await before).toEqual({ owner: 'ann' });
    expect(cache.peek('a')).toBeUndefined();
  });

  it('asks every time while invalidations may not arrive, and passes failures on', async () => {
    const { world, cache } = setUp();
    await cache.get('a');
    world.trusted = false;
    expect(cache.peek('a')).toBeUndefined();
    await cache.get('a');
    await cache.get('a');
    expect(world.reads).toBe(3);
    world.hold = Promise.reject(new Error('away'));
    await expect(cache.get('a')).rejects.toThrow('away');
  });

  it('forgets what was used longest ago when it is full, and never keeps what does not exist', async () => {
    const { rows, world, cache } = setUp(3);
    for (const id of ['a', 'b', 'c']) {
      rows.set(id, { owner: id });
      await cache.get(id);
    }
    for (let i = 0; i < 50; i++) expect(await cache.get(`guess-${i}`)).toBeNull();
    const { reads } = world;
    await cache.get('a');
    rows.set('d', { owner: 'd' });
    await cache.get('d');
    expect(['a', 'b', 'c', 'd'].map((id) => cache.peek(id) !== undefined)).toEqual([true, false, true, true]);
    expect(world.reads).toBe(reads + 1);
  });
});
