import ipaddr from 'ipaddr.js';
import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, isIP, Socket, type LookupFunction } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** What node's agents hand to `createConnection`. */
interface Target {
  readonly host?: string;
  readonly socketPath?: string;
}
type Open = (options: Target & { readonly lookup: LookupFunction }) => Socket;
type Done = (error: Error) => void;

type Address = ipaddr.IPv4 | ipaddr.IPv6;
/** A range of addresses: its first one, and how many leading bits the others share with it. */
export type Cidr = [Address, number];

/** How names are resolved; always all addresses. Replaced in tests. */
export type Resolve = (
  hostname: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const resolveBySystem: Resolve = (hostname, done) => systemLookup(hostname, { all: true }, done);

/** The address that a user named, or that a name of theirs resolved to, is none that we may connect to. */
export class ForbiddenAddressError extends Error {
  readonly code = 'ADDRESS_FORBIDDEN';

  constructor() {
    super('this address is private, loopback, link-local or otherwise not public');
    this.name = 'ForbiddenAddressError';
  }
}

/**
 * Whether a connection to this address would reach something that is not on the public internet.
 * Only global unicast addresses pass; an IPv6 address that carries an IPv4 one (mapped or compatible)
 * is judged by that, and translation ranges (NAT64, 6to4, Teredo) are refused whole.
 * @param address an IPv4 or IPv6 literal in any spelling; what cannot be read is forbidden
 * @param allowedCidrs ranges that the operator opened
 */
export function isForbiddenAddress(address: string, allowedCidrs: readonly string[]): boolean {
  return isForbidden(address, parseCidrs(allowedCidrs));
}

/** @throws Error naming the entry that is no CIDR range or address */
export function parseCidrs(cidrs: readonly string[]): Cidr[] {
  return cidrs.map((cidr) => {
    if (ipaddr.isValidCIDR(cidr)) return ipaddr.parseCIDR(cidr);
    if (!ipaddr.isValid(cidr)) throw new Error(`${cidr} is neither an IP address nor a CIDR range`);
    const address = ipaddr.process(cidr);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  });
}

/** @param address in any spelling, also an IPv4 one written as IPv6; what cannot be read is in no range */
export function isWithin(address: string, ranges: readonly Cidr[]): boolean {
  return ranges.length > 0 && ipaddr.isValid(address) && matches(unmapped(ipaddr.parse(address)), ranges);
}

/**
 * Connects to addresses that users name without letting them reach what only we can reach. The test is
 * made on the address that the connection uses, at the moment it is made: a name that resolves to
 * something else later (DNS rebinding) is tested again.
 */
export class AddressGuard {
  private readonly allowed: readonly Cidr[];

  constructor(
    allowedCidrs: readonly string[] = [],
    private readonly resolve: Resolve = resolveBySystem,
  ) {
    this.allowed = parseCidrs(allowedCidrs);
  }

  isForbidden(address: string): boolean {
    return isForbidden(address, this.allowed);
  }

  /** For the `lookup` option of node's net, tls, http and https. They skip it for literals: use `connect` or an agent of ours. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.resolve(hostname, (error, found) => {
      const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : (options.family ?? 0);
      const usable = (error ? [] : found).filter(
        (one) => (family === 0 || one.family === family) && !this.isForbidden(one.address),
      );
      const first = usable[0];
      if (!first) callback(error ?? new ForbiddenAddressError(), [], 0);
      else if (options.all) callback(null, usable);
      else callback(null, first.address, first.family);
    });
  };

  /** A TCP connection; a forbidden address is an `error` event, and not a byte leaves. */
  connect(options: { readonly host: string; readonly port: number }): Socket {
    if (this.isForbiddenLiteral(options.host)) return refused();
    return connect({ ...options, host: bare(options.host), lookup: this.lookup });
  }

  /** The same under TLS, with the certificate checked against the name. */
  connectTls(options: { readonly host: string; readonly port: number }): Socket {
    if (this.isForbiddenLiteral(options.host)) return refused();
    const host = bare(options.host);
    return connectTls({
      ...options,
      host,
      lookup: this.lookup,
      ...(isIP(host) === 0 && { servername: host }),
    });
  }

  /** Agents for node:http and node:https requests, without kept connections. */
  httpAgent(): HttpAgent {
    const agent = new HttpAgent({ keepAlive: false });
    const createConnection = (options: Target, done: Done) =>
      this.guarded(options, done, connect as unknown as Open);
    return Object.assign(agent, { createConnection });
  }

  httpsAgent(): HttpsAgent {
    const agent = new HttpsAgent({ keepAlive: false, maxCachedSessions: 0 });
    const createConnection = (options: Target, done: Done) => this.guarded(options, done, connectTls);
    return Object.assign(agent, { createConnection });
  }

  /** The request hears of a refusal by `done`: it does not listen yet to a socket that has failed already. */
  private guarded(options: Target, done: Done, open: Open): Socket | undefined {
    if (!options.socketPath && !this.isForbiddenLiteral(options.host ?? 'localhost')) {
      return open({ ...options, lookup: this.lookup });
    }
    process.nextTick(done, new ForbiddenAddressError());
    return undefined;
  }

  private isForbiddenLiteral(host: string): boolean {
    const address = bare(host);
    return isIP(address) !== 0 && this.isForbidden(address);
  }
}

function isForbidden(address: string, allowed: readonly Cidr[]): boolean {
  if (!ipaddr.isValid(address)) return true;
  const parsed = unmapped(ipaddr.parse(address));
  if (matches(parsed, allowed)) return false;
  return (
    parsed.range() !== 'unicast' ||
    matches(parsed, CLOUD_INSIDE) ||
    (parsed.kind() === 'ipv6' && !GLOBAL_UNICAST.test(parsed.toNormalizedString()))
  );
}

function matches(address: Address, ranges: readonly Cidr[]): boolean {
  return ranges.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
}

/**
 * Public by their number, but answered by the cloud itself and only to machines in it: Azure's wire
 * server, which hands out a machine's certificates. Other clouds' metadata is at link-local, unique
 * local or carrier-grade NAT addresses, which are refused by their range.
 */
const CLOUD_INSIDE = parseCidrs(['168.63.129.16']);

/** 2000::/3, all that IANA has given out for public use; ipaddr.js calls whatever is in no list `unicast`. */
const GLOBAL_UNICAST = /^[23][0-9a-f]{3}:/;

/** `::ffff:a.b.c.d` and the deprecated `::a.b.c.d` mean the IPv4 address in them. */
function unmapped(address: Address): Address {
  if (address.kind() === 'ipv4') return address;
  const { parts } = address as ipaddr.IPv6;
  const carries =
    parts.slice(0, 5).every((part) => part === 0) &&
    (parts[5] === 0xffff || (parts[5] === 0 && (parts[6] ?? 0) !== 0));
  if (!carries) return address;
  const [high = 0, low = 0] = parts.slice(6);
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]);
}

function bare(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** A socket that fails as one does whose connection was refused, so that callers need one way of handling errors only. */
function refused(): Socket {
  return new Socket().destroy(new ForbiddenAddressError());
}
