import { Logger } from '@nestjs/common';
import {
  Outbox,
  OutboxRefusedError,
  OutboxRetryLaterError,
  type OutboxMessage,
} from '../../src/core/outbox/outbox.js';
import { coreServices } from '../support/core-services.js';
import { openTestDatabase } from '../support/test-database.js';

describe(Outbox.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  const outboxes: Outbox[] = [];
  const newOutbox = () => {
    const { clock, shutdown } = coreServices(db.database);
    const outbox = new Outbox(db.database, clock, shutdown);
    outboxes.push(outbox);
    stops.push(() => shutdown.onApplicationShutdown());
    return outbox;
  };
  const stops: (() => Promise<void>)[] = [];
  const append = (outbox: Outbox, topic: string, key: string) =>
    db.database.transaction((tx) => outbox.append(tx, topic, key, { key }));
  const stateOf = async (key: string) =>
    (
      await db.database.query<{
        state: string;
        attempts: number;
        last_error: string | null;
        wait_ms: number;
      }>(
        `SELECT state, attempts, last_error, (extract(epoch FROM next_attempt_at - clock_timestamp()) * 1000.0)::float8 AS wait_ms FROM vigia.outbox WHERE key = $1`,
        [key],
      )
    )[0];
  const due = () =>
    db.database.execute(
      `UPDATE vigia.outbox SET next_attempt_at = clock_timestamp() WHERE state = 'pending'`,
    );

  beforeAll(async () => {
    db = await openTestDatabase();
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
    await db.database.execute('TRUNCATE vigia.outbox');
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    await db.close();
  });

  it('delivers what was committed, once per key, and nothing that was rolled back', async () => {
    const outbox = newOutbox();
    const seen: string[] = [];
    outbox.handle('a', async ({ key }) => void seen.push(key));
    expect([await append(outbox, 'a', 'k1'), await append(outbox, 'a', 'k1')]).toEqual([true, false]);
    await expect(
      db.database.transaction(async (tx) => {
        await outbox.append(tx, 'a', 'k2', {});
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await outbox.relay();
    await outbox.relay();
    expect(seen).toEqual(['k1']);
    expect(await stateOf('k1')).toMatchObject({ state: 'sent', attempts: 1 });
  });

  it('hands each message to one of two relays that run together', async () => {
    const [a, b] = [newOutbox(), newOutbox()];
    const seen: string[] = [];
    for (const outbox of [a, b]) outbox.handle('b', async ({ key }) => void seen.push(key));
    for (let i = 0; i < 50; i++) await append(a, 'b', `m${i}`);
    await Promise.all([a.relay(), b.relay()]);
    expect(seen.sort()).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`).sort());
  });

  it('tries again later what failed, waits as long as the receiver asked, and gives up after ten', async () => {
    const outbox = newOutbox();
    const attempts: OutboxMessage[] = [];
    outbox.handle('c', async (message) => {
      attempts.push(message);
      throw message.attempt === 1 ? new OutboxRetryLaterError('429', 120_000) : new Error('down');
    });
    await append(outbox, 'c', 'k');
    await outbox.relay();
    expect((await stateOf('k'))!.wait_ms).toBeGreaterThan(110_000);
    for (let i = 0; i < 12; i++) {
      await due();
      await outbox.relay();
    }
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await stateOf('k')).toMatchObject({ state: 'dead', last_error: 'down' });
  });

  it('sets a final refusal aside at once, with its reason', async () => {
    const outbox = newOutbox();
    outbox.handle('d', async () => {
      throw new OutboxRefusedError('410 gone');
    });
    await append(outbox, 'd', 'k');
    await outbox.relay();
    expect(await stateOf('k')).toMatchObject({ state: 'dead', attempts: 1, last_error: '410 gone' });
  });

  it('lets no late attempt undo what a newer one settled', async () => {
    const outbox = newOutbox();
    outbox.handle('late', async () => {
      // Meanwhile the claim ended, and another relay delivered the message.
      await db.database.execute(
        `UPDATE vigia.outbox SET attempts = attempts + 1, state = 'sent' WHERE key = 'k'`,
      );
      throw new Error('too late');
    });
    await append(outbox, 'late', 'k');
    await outbox.relay();
    expect(await stateOf('k')).toMatchObject({ state: 'sent', last_error: null });
  });

  it('forgets what was sent after a week and what was given up after a month', async () => {
    const outbox = newOutbox();
    for (const key of ['old-sent', 'new-sent', 'old-dead', 'new-dead']) await append(outbox, 'f', key);
    await db.database.execute(`UPDATE vigia.outbox SET state = split_part(key, '-', 2),
      sent_at = clock_timestamp() - CASE WHEN key LIKE 'old%' THEN interval '8 days' ELSE interval '6 days' END,
      next_attempt_at = clock_timestamp() - CASE WHEN key LIKE 'old%' THEN interval '31 days' ELSE interval '29 days' END`);
    await (outbox as unknown as { forgetOld(): Promise<void> }).forgetOld();
    const left = await db.database.query<{ key: string }>('SELECT key FROM vigia.outbox ORDER BY key');
    expect(left.map(({ key }) => key)).toEqual(['new-dead', 'new-sent']);
  });

  it('takes over the messages of a relay that died in mid-delivery, after its claim ended', async () => {
    const outbox = newOutbox();
    await append(outbox, 'e', 'k');
    await db.database.execute(
      `UPDATE vigia.outbox SET attempts = 1, next_attempt_at = clock_timestamp() + interval '60 s'`,
    );
    const seen: number[] = [];
    outbox.handle('e', async ({ attempt }) => void seen.push(attempt));
    await outbox.relay();
    expect(seen).toEqual([]);
    await due();
    await outbox.relay();
    expect(seen).toEqual([2]);
  });
});
