import { Logger } from '@nestjs/common';
import { SystemClock } from '../../src/core/clock/clock.js';
import { InstanceBus } from '../../src/core/instance-bus/instance-bus.js';
import { eventually } from '../support/eventually.js';
import { openTestDatabase } from '../support/test-database.js';

describe(InstanceBus.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  const buses: InstanceBus[] = [];
  const startBus = async () => {
    const bus = new InstanceBus(db.database, new SystemClock());
    await bus.start();
    buses.push(bus);
    return bus;
  };
  const heardBy = (bus: InstanceBus, topic: string) => {
    const heard: (string | null)[] = [];
    bus.on(topic, (id) => void heard.push(id));
    return heard;
  };
  beforeAll(async () => {
    db = await openTestDatabase();
  });
  afterEach(async () => {
    await Promise.all(buses.splice(0).map((bus) => bus.stop()));
  });
  afterAll(() => db.close());

  it('tells every instance which row changed, once the change is committed', async () => {
    const [a, b] = [await startBus(), await startBus()];
    const heard = [heardBy(a, 'config'), heardBy(b, 'config')];
    await db.database.transaction((tx) => a.publish(tx, 'config', 'row-1'));
    await eventually(() => heard.every((ids) => ids.includes('row-1')));
  });

  it('says nothing of a change that was rolled back', async () => {
    const bus = await startBus();
    const heard = heardBy(bus, 'rolled');
    const failing = db.database.transaction(async (tx) => {
      await bus.publish(tx, 'rolled', 'never');
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await db.database.transaction((tx) => bus.publish(tx, 'rolled', 'real'));
    await eventually(() => heard.includes('real'));
    expect(heard).not.toContain('never');
  });

  it('repairs what was lost with the connection: listeners are told to reread everything', async () => {
    const bus = await startBus();
    const heard = heardBy(bus, 'lost');
    await db.database.transaction((tx) => bus.publish(tx, 'lost', 'first'));
    await eventually(() => heard.includes('first'));
    // Cut the listening session and change a row before it is back: only the poll can notice.
    await db.database.transaction(async (tx) => {
      await tx.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'vigia-bus' AND datname = current_database()`,
      );
      await bus.publish(tx, 'lost', 'unheard');
    });
    await eventually(() => heard.includes(null) || heard.includes('unheard'), 3_000);
    // It listens again: only a notification carries an id, the poll never does.
    await eventually(async () => {
      await db.database.transaction((tx) => bus.publish(tx, 'lost', 'after'));
      return heard.includes('after');
    }, 5_000);
  });

  it('survives what any role may send on its channel, and hears the next real message', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const bus = await startBus();
    const heard = heardBy(bus, 'forged');
    for (const payload of [
      'x',
      'null',
      '{}',
      '{"topic":"forged","version":"1","id":7}',
      '{"topic":"forged","version":-1,"id":"y"}',
    ]) {
      await db.database.query('SELECT pg_notify($1, $2)', ['vigia_bus', payload]);
    }
    await db.database.query('SELECT pg_notify($1, $2)', [
      'vigia_bus',
      '{"topic":"forged","version":1000000,"id":"z"}',
    ]);
    await db.database.transaction((tx) => bus.publish(tx, 'forged', 'real'));
    await eventually(() => heard.includes('real'));
    expect(warn).toHaveBeenCalled();
    warn.mockRestore();
  });

  it('hears a topic whose first change came while it could not listen', async () => {
    const bus = await startBus();
    const heard = heardBy(bus, 'new-topic');
    await db.database.execute(`INSERT INTO vigia.bus_versions VALUES ('new-topic', 1)`);
    await eventually(() => heard.includes(null), 3_000);
  });

  it('knows whether it is up to date', async () => {
    const bus = await startBus();
    expect(bus.isFresh(2_000)).toBe(true);
    await bus.stop();
    await eventually(() => !bus.isFresh(50), 1_000);
  });
});
