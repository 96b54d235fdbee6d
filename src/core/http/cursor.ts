import { ValidationFailedError } from '../errors/errors.js';

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Where the next page starts: the sort key of the last row seen, opaque to clients. */
export type CursorKey = readonly (string | number)[];

export function encodeCursor(key: CursorKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/**
 * @param shape the type of each part, so that a forged cursor cannot reach SQL with another
 * @throws ValidationFailedError for a cursor that this list did not hand out
 */
export function decodeCursor(
  cursor: string | undefined,
  shape: readonly ('string' | 'number')[],
): CursorKey | null {
  if (cursor === undefined) return null;
  const key = parse(cursor);
  const fits =
    Array.isArray(key) && key.length === shape.length && shape.every((type, i) => typeof key[i] === type);
  if (!fits) throw badCursor();
  return key as CursorKey;
}

/** A page from `limit + 1` rows: the extra row only says that there is more. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => CursorKey,
  toItem: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null,
  };
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch (error) {
    throw badCursor(error);
  }
}

function badCursor(cause?: unknown): ValidationFailedError {
  const error = new ValidationFailedError([{ path: 'cursor', message: 'must be a nextCursor of this list' }]);
  if (cause) error.cause = cause;
  return error;
}
