import { decodeCursor, uuid, ValidationFailedError } from '../../core/index.js';

/** The id after which a list goes on. @throws ValidationFailedError for a forged cursor */
export function idCursor(cursor: string | undefined): string | null {
  const key = decodeCursor(cursor, ['string']);
  return key && checkedId(key[0]);
}

/** The instant and id before which a list goes on. @throws ValidationFailedError for a forged cursor */
export function instantCursor(cursor: string | undefined): { at: string; id: string } | null {
  const key = decodeCursor(cursor, ['string', 'string']);
  return key && { at: checkedInstant(key[0]), id: checkedId(key[1]) };
}

function checkedId(part: unknown): string {
  const parsed = uuid.safeParse(part);
  if (!parsed.success) throw badCursor();
  return parsed.data;
}

function checkedInstant(part: unknown): string {
  const date = new Date(String(part));
  if (Number.isNaN(date.getTime()) || date.toISOString() !== part) throw badCursor();
  return part;
}

function badCursor(): ValidationFailedError {
  return new ValidationFailedError([{ path: 'cursor', message: 'must be a nextCursor of this list' }]);
}
