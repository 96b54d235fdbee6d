import ipaddr from 'ipaddr.js';

/**
 * The client behind an address: one IPv4 address, or the /64 that IPv6 hands to one customer, who
 * could otherwise take a new address for every guess.
 */
export function clientOf(ip: string): string {
  if (!ipaddr.isValid(ip)) return 'unknown';
  const address = ipaddr.process(ip); // ::ffff:192.0.2.1 becomes 192.0.2.1
  if (address.kind() === 'ipv4') return address.toString();
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${withoutZone(address.toString())}/64`);
  return `${network.toString()}/64`;
}

function withoutZone(address: string): string {
  return address.split('%')[0] ?? address;
}
