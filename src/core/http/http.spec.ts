import { z } from 'zod';
import { ValidationFailedError } from '../errors/errors.js';
import { decodeCursor, encodeCursor, toPage } from './cursor.js';
import { requestIdOf } from './request-id.js';
import { SchemaPipe } from './schema.pipe.js';
import { instant, queryInteger } from './schemas.js';

describe('requestIdOf', () => {
  it.each(['abc', 'A-1._z', 'x'.repeat(128)])('keeps the harmless id %s', (id) => {
    expect(requestIdOf(id)).toBe(id);
  });

  it.each([undefined, '', 'x'.repeat(129), 'a b', 'a\nb', 'ä', '{"a":1}', ['a', 'b']])(
    'replaces %j',
    (id) => {
      expect(requestIdOf(id)).toMatch(/^[0-9a-f-]{36}$/);
    },
  );
});

describe('cursors', () => {
  it('lead through a list page by page', () => {
    const rows = [1, 2, 3, 4, 5].map((n) => ({ n }));
    const first = toPage(
      rows.slice(0, 3),
      2,
      ({ n }) => [n],
      ({ n }) => n,
    );
    expect(first.items).toEqual([1, 2]);
    expect(decodeCursor(first.nextCursor!, ['number'])).toEqual([2]);
    expect(
      toPage(
        rows.slice(3),
        2,
        ({ n }) => [n],
        ({ n }) => n,
      ).nextCursor,
    ).toBeNull();
  });

  it.each([
    'nonsense',
    '',
    encodeCursor(['text']),
    encodeCursor([1, 2]),
    Buffer.from('{"a":1}').toString('base64url'),
  ])('refuse %s where a number is the key', (cursor) => {
    expect(() => decodeCursor(cursor, ['number'])).toThrow(ValidationFailedError);
  });
});

describe('query values', () => {
  it.each(['1', '1000'])('reads %s as a whole number', (text) => {
    expect(queryInteger(1, 1000).parse(text)).toBe(Number(text));
  });

  it.each(['0', '1001', '1.5', '1e2', ' 1', '', '0x10', 'NaN', '１'])(
    'refuses %j as a number from 1 to 1000',
    (text) => {
      expect(queryInteger(1, 1000).safeParse(text).success).toBe(false);
    },
  );

  it.each(['2026-02-30T00:00:00Z', '2026-01-01', 'now', '1700000000000', '2026-01-01T00:00:00'])(
    'refuses %j as an instant',
    (text) => {
      expect(instant.safeParse(text).success).toBe(false);
    },
  );

  it('takes an instant in any zone', () => {
    expect(instant.parse('2026-01-01T02:00:00.5+02:00')).toEqual(new Date('2026-01-01T00:00:00.500Z'));
  });
});

describe(SchemaPipe.name, () => {
  const pipe = new SchemaPipe();
  const schema = z.strictObject({ name: z.string(), tags: z.array(z.number()).optional() });
  const faultsOf = async (value: unknown) => {
    const error: unknown = await pipe
      .transform(value, { type: 'body', schema })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ValidationFailedError);
    return (error as ValidationFailedError).errors!;
  };

  it('names each fault by its path, unknown fields too', async () => {
    expect(
      (await faultsOf({ name: 1, tags: [1, 'x'], role: 'admin', id: 7 })).map(({ path }) => path).sort(),
    ).toEqual(['id', 'name', 'role', 'tags.1']);
  });

  it('reports at most twenty faults', async () => {
    const flood = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`x${i}`, i]));
    expect(await faultsOf({ name: 'n', ...flood })).toHaveLength(20);
  });

  it('takes an absent body for an empty one', async () => {
    const optional = z.strictObject({ reason: z.string().optional() });
    expect(await pipe.transform(undefined, { type: 'body', schema: optional })).toEqual({});
  });

  it('does not let __proto__ through', async () => {
    expect((await faultsOf(JSON.parse('{"name":"n","__proto__":{"admin":true}}'))).length).toBeGreaterThan(0);
  });
});
