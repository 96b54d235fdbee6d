import { RequestRecorder } from '../../src/modules/monitoring/metrics/requests/request-recorder.js';
import { SnapshotSources } from '../../src/modules/monitoring/metrics/snapshot-sources.js';
import { SharedActiveUsers } from '../../src/modules/monitoring/users/shared-active-users.js';
import { ActiveUsersStore } from '../../src/modules/monitoring/users/stores/active-users.store.js';
import { FakeClock } from '../support/fake-clock.js';
import { openTestDatabase } from '../support/test-database.js';

const MINUTE_MS = 60_000;

describe('users active over all instances', () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  beforeAll(async () => {
    db = await openTestDatabase();
  });
  afterAll(() => db.close());
  beforeEach(() => db.database.execute('TRUNCATE vigia.active_users'));

  function instance() {
    const clock = new FakeClock();
    const recorder = new RequestRecorder(clock);
    const sources = new SnapshotSources();
    const store = new ActiveUsersStore(db.database);
    const users = new SharedActiveUsers(store, recorder, sources, clock);
    users.onModuleInit();
    const see = (...ids: string[]) => ids.forEach((id) => recorder.seeUser(id, clock.monotonicMs()));
    return { clock, see, store, count: () => sources.read('activeUsers') };
  }
  /** What the database holds looks as if so much time had passed. */
  const age = (ms: number) =>
    db.database.execute(`UPDATE vigia.active_users SET seen_at = seen_at - $1 * interval '1 millisecond'`, [
      ms,
    ]);

  it('are counted once each, whichever instances they called', async () => {
    const [a, b] = [instance(), instance()];
    a.see('ann', 'bob');
    b.see('bob', 'cid');
    await a.count();
    expect(await b.count()).toBe(3);
    expect(await a.count()).toBe(3);
  });

  it('are no more counted five minutes after their last call, and soon not kept either', async () => {
    const a = instance();
    a.see('ann');
    expect(await a.count()).toBe(1);
    a.clock.advance(6 * MINUTE_MS);
    await age(6 * MINUTE_MS);
    a.see('bob');
    expect(await a.count()).toBe(1);
    await age(6 * MINUTE_MS);
    a.clock.advance(6 * MINUTE_MS);
    await a.count();
    expect(await db.database.query('SELECT user_id FROM vigia.active_users')).toEqual([{ user_id: 'bob' }]);
  });

  it('stay counted while they go on calling', async () => {
    const a = instance();
    for (let i = 0; i < 4; i++) {
      a.see('ann');
      expect(await a.count()).toBe(1);
      a.clock.advance(2 * MINUTE_MS);
      await age(2 * MINUTE_MS);
    }
  });

  it('are dated to when they called, not to when the instance collected', async () => {
    const a = instance();
    a.see('ann');
    a.clock.advance(4 * MINUTE_MS);
    await a.count();
    await age(2 * MINUTE_MS);
    expect(await instance().count()).toBe(0);
  });

  it('are null while PostgreSQL cannot say, and counted afterwards', async () => {
    const a = instance();
    a.see('ann');
    jest.spyOn(a.store, 'note').mockRejectedValueOnce(new Error('away'));
    expect(await a.count()).toBeNull();
    a.clock.advance(MINUTE_MS);
    expect(await a.count()).toBe(1);
  });

  it('may have any id at all, and two instances may note the same ones at once', async () => {
    const [a, b] = [instance(), instance()];
    const ids = Array.from({ length: 2_000 }, (_, i) => `user ${i}`);
    a.see(...ids, 'x'.repeat(300), 'nul\0');
    b.see(...ids.toReversed());
    for (let i = 0; i < 5; i++) {
      await Promise.all([a.count(), b.count()]);
      expect(await a.count()).toBe(2_000);
    }
  });
});
