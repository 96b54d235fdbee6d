import { digestOf, newSecret } from '../tokens/opaque-secret.js';

const KEY = /^vgk_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** The text a client sends: it names the key's row, so that one row is compared, not all. */
export function keyText(id: string, secret: string): string {
  return `vgk_${id}_${secret}`;
}

export function newKeySecret(): { secret: string; secretHash: Buffer } {
  const secret = newSecret();
  return { secret, secretHash: digestOf(secret) };
}

export function parseKey(text: string): { id: string; secretHash: Buffer } | null {
  const [, id, secret] = KEY.exec(text) ?? [];
  return id && secret ? { id, secretHash: digestOf(secret) } : null;
}
