import type { CheckKind } from './outside-check.types.js';

/** Where a check connects to, as read from its `target`. */
export interface Target {
  readonly kind: CheckKind;
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Whole address, for kinds that speak HTTP. */
  readonly url?: string;
}

interface Format {
  readonly protocols: Readonly<Record<string, { readonly port: number; readonly tls: boolean }>>;
  readonly example: string;
  /** May the target be written as `host:port`, without a protocol? */
  readonly bare?: string;
  readonly path: RegExp;
}

const web = { 'http:': { port: 80, tls: false }, 'https:': { port: 443, tls: true } };

const FORMATS: Readonly<Record<CheckKind, Format>> = {
  http: { protocols: web, example: 'https://example.com/health', path: /^/ },
  s3: {
    protocols: web,
    example: 'https://s3.example.com/bucket',
    path: /^\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/?$/,
  },
  tcp: {
    protocols: { 'tcp:': { port: 0, tls: false } },
    bare: 'tcp',
    example: 'example.com:5672',
    path: /^\/?$/,
  },
  postgres: {
    protocols: { 'postgres:': { port: 5432, tls: false }, 'postgresql:': { port: 5432, tls: false } },
    bare: 'postgres',
    example: 'postgres://db.example.com:5432',
    path: /^(\/[A-Za-z0-9_-]{0,63})?$/,
  },
  redis: {
    protocols: { 'redis:': { port: 6379, tls: false }, 'rediss:': { port: 6379, tls: true } },
    bare: 'redis',
    example: 'redis://cache.example.com:6379',
    path: /^(\/[0-9]{0,3})?$/,
  },
};

/** A target that cannot be read; the message says what would be right and never repeats the input. */
export class TargetInvalidError extends Error {}

/**
 * Reads a target. Credentials are refused everywhere: a check asks whether somebody answers in the right
 * protocol, which needs none, and what is not stored cannot leak.
 * @throws TargetInvalidError
 */
export function parseTarget(kind: CheckKind, text: string): Target {
  const format = FORMATS[kind];
  const url = urlOf(format, text);
  const protocol = url && format.protocols[url.protocol];
  if (!url || !protocol || !url.hostname) throw new TargetInvalidError(`must look like ${format.example}`);
  if (url.username || url.password || text.includes('@'))
    throw new TargetInvalidError('must not hold credentials: this check signs in nowhere');
  const speaksHttp = kind === 'http' || kind === 's3';
  if (!format.path.test(url.pathname) || url.hash || (kind !== 'http' && url.search))
    throw new TargetInvalidError(`must look like ${format.example}`);
  const port = url.port === '' ? protocol.port : Number(url.port);
  if (port === 0) throw new TargetInvalidError(`must name a port, as ${format.example} does`);
  return { kind, host: hostOf(url.hostname), port, tls: protocol.tls, ...(speaksHttp && { url: url.href }) };
}

function urlOf({ bare }: Format, text: string): URL | undefined {
  if (/[\s\p{Cc}\\]/u.test(text)) return undefined;
  const full = bare && !text.includes('://') ? `${bare}://${text}` : text;
  return URL.canParse(full) ? new URL(full) : undefined;
}

/** Only web protocols have their hosts normalized by `URL`: this brings `0x7f.1` to `127.0.0.1` for the others, too. */
function hostOf(hostname: string): string {
  const asWeb = `http://${hostname}/`;
  if (!URL.canParse(asWeb)) throw new TargetInvalidError('must name a host');
  const host = new URL(asWeb).hostname;
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
