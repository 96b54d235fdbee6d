import ipaddr from 'ipaddr.js';

/** Addresses that may read without a credential, as CIDR ranges. */
export class AllowedAddresses {
  private readonly ranges: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  /** @throws Error naming a range that is not one */
  constructor(cidrs: readonly string[]) {
    this.ranges = cidrs.map((cidr) => {
      try {
        return ipaddr.parseCIDR(cidr);
      } catch (error) {
        throw new Error(`not a CIDR range: ${cidr}`, { cause: error });
      }
    });
  }

  /** @param ip the client's address, also an IPv4 one written as IPv6 */
  has(ip: string): boolean {
    if (this.ranges.length === 0 || !ipaddr.isValid(ip)) return false;
    const address = ipaddr.process(ip);
    return this.ranges.some(
      ([range, bits]) => range.kind() === address.kind() && address.match([range, bits]),
    );
  }
}
