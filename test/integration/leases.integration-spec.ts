import { Leases, LeaseLostError } from '../../src/core/leases/leases.js';
import { openTestDatabase } from '../support/test-database.js';

describe(Leases.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  let leases: Leases;
  beforeAll(async () => {
    db = await openTestDatabase();
    leases = new Leases(db.database);
  });
  afterAll(() => db.close());

  it('goes to exactly one of many that ask together', async () => {
    const asked = await Promise.all(Array.from({ length: 10 }, (_, i) => leases.acquire('one', `h${i}`)));
    expect(asked.filter(Boolean)).toHaveLength(1);
  });

  it('keeps its token while renewed and gets a greater one when it passes on', async () => {
    const first = await leases.acquire('token', 'a');
    const renewed = await leases.acquire('token', 'a');
    expect(renewed).toEqual(first);
    await leases.release(first!);
    const second = await leases.acquire('token', 'b');
    expect(second!.token).toBeGreaterThan(first!.token);
  });

  it('refuses the write of a holder whose lease has passed on', async () => {
    const old = (await leases.acquire('fence', 'a', 1))!;
    await db.database.query('SELECT pg_sleep(0.01)');
    const current = (await leases.acquire('fence', 'b'))!;
    await expect(db.database.transaction((tx) => leases.assertHeld(tx, old))).rejects.toThrow(LeaseLostError);
    await expect(db.database.transaction((tx) => leases.assertHeld(tx, current))).resolves.toBeUndefined();
  });

  it('gives a holder that lost time a new token, so that its own old writes are refused too', async () => {
    const old = (await leases.acquire('self', 'a', 1))!;
    await db.database.query('SELECT pg_sleep(0.01)');
    const again = (await leases.acquire('self', 'a'))!;
    expect(again.token).toBeGreaterThan(old.token);
  });
});
