import fc from 'fast-check';
import { get } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { AddressGuard, isForbiddenAddress, isWithin, parseCidrs, type Resolve } from './address-guard.js';

const FORBIDDEN = [
  ...['127.0.0.1', '127.255.255.254', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1'],
  ...[
    '100.64.0.1',
    '169.254.169.254',
    '198.18.0.1',
    '192.0.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  ...[
    '192.0.2.1',
    '198.51.100.1',
    '203.0.113.1',
    '0x7f000001',
    '0x7f.1',
    '127.1',
    '0177.0.0.1',
    '2130706433',
  ],
  ...['::1', '::', '::ffff:127.0.0.1', '::ffff:7f00:1', '::127.0.0.1', '::7f00:1', '0:0:0:0:0:ffff:10.0.0.1'],
  ...[
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'fc00::1',
    'fd12::1',
  ],
  ...['ff02::1', '100::1', '2001:db8::1', '4000::1', '::ffff:0:127.0.0.1', '', 'localhost', '999.1.1.1'],
];

describe(isForbiddenAddress.name, () => {
  it.each(FORBIDDEN)('refuses %s', (address) => expect(isForbiddenAddress(address, [])).toBe(true));

  it.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    'lets %s pass',
    (address) => expect(isForbiddenAddress(address, [])).toBe(false),
  );

  it('opens exactly the listed ranges, in whatever spelling the address comes', () => {
    const open = ['127.0.0.1', '10.1.0.0/16', 'fd00:1::/32'];
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '10.1.255.1', 'fd00:1::5'])
      expect(isForbiddenAddress(address, open)).toBe(false);
    for (const address of ['127.0.0.2', '10.2.0.1', 'fd00:2::5', '::1'])
      expect(isForbiddenAddress(address, open)).toBe(true);
  });

  it('judges an IPv4 address the same however IPv6 wraps it', () => {
    fc.assert(
      fc.property(
        fc.ipV4(),
        (address) => isForbiddenAddress(`::ffff:${address}`, []) === isForbiddenAddress(address, []),
      ),
    );
  });

  it('names a range that is none', () => expect(() => parseCidrs(['10.0.0.0/8', 'ten/8'])).toThrow('ten/8'));
});

describe('the inside of a cloud', () => {
  it.each([
    ['Azure wire server', '168.63.129.16'],
    ['Azure wire server in IPv6 spelling', '::ffff:168.63.129.16'],
    ['AWS, GCP, Azure, DigitalOcean', '169.254.169.254'],
    ['AWS in IPv6', 'fd00:ec2::254'],
    ['GCP in IPv6', 'fd20:ce::254'],
    ['AWS task credentials', '169.254.170.2'],
    ['Alibaba', '100.100.100.200'],
    ['Oracle', '192.0.0.192'],
    ['Scaleway in IPv6', 'fd00:42::42'],
  ])('is closed: %s', (_, address) => expect(isForbiddenAddress(address, [])).toBe(true));

  it('can be opened by the operator', () =>
    expect(isForbiddenAddress('168.63.129.16', ['168.63.129.16'])).toBe(false));
});

describe(isWithin.name, () => {
  const ranges = parseCidrs(['10.0.0.0/8', '203.0.113.7', '2001:db8::1']);

  it.each(['10.9.9.9', '203.0.113.7', '::ffff:10.9.9.9', '2001:db8::1'])('knows %s', (address) =>
    expect(isWithin(address, ranges)).toBe(true),
  );

  it.each(['11.0.0.1', '203.0.113.8', '2001:db8::2', '', 'nonsense'])('does not know %s', (address) =>
    expect(isWithin(address, ranges)).toBe(false),
  );

  it('is never true of no range', () => expect(isWithin('10.0.0.1', [])).toBe(false));
});

describe(AddressGuard.name, () => {
  let server: Server;
  let hits = 0;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => {
      hits += 1;
      socket.on('error', () => undefined); // the client goes away as soon as it is connected
      socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  });
  beforeEach(() => (hits = 0));
  afterAll(() => server.close());

  const answering = (...addresses: string[]): Resolve => {
    let turn = 0;
    return (_, done) => {
      const address = addresses[Math.min(turn++, addresses.length - 1)] ?? '';
      done(null, [{ address, family: address.includes(':') ? 6 : 4 }]);
    };
  };
  const failureOf = (socket: Socket) =>
    new Promise<string | undefined>((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.once('connect', () => {
        socket.destroy();
        resolve('connected');
      });
    });
  const statusOf = (url: string, guard: AddressGuard) =>
    new Promise<string | number | undefined>((resolve) => {
      get(url, { agent: guard.httpAgent() }, ({ statusCode }) => resolve(statusCode)).once(
        'error',
        (error: NodeJS.ErrnoException) => resolve(error.code),
      );
    });

  it.each([
    '127.0.0.1',
    '127.1',
    '0x7f000001',
    '0177.0.0.1',
    'localhost',
    '[::ffff:127.0.0.1]',
    '::ffff:127.0.0.1',
    '2130706433',
  ])('does not connect to %s', async (host) => {
    expect(await failureOf(new AddressGuard().connect({ host, port }))).toBe('ADDRESS_FORBIDDEN');
    expect(await failureOf(new AddressGuard().connectTls({ host, port }))).toBe('ADDRESS_FORBIDDEN');
    expect(hits).toBe(0);
  });

  it.each([
    'http://127.0.0.1',
    'http://0x7f000001',
    'http://127.1',
    'http://localhost',
    'http://[::ffff:127.0.0.1]',
  ])('does not request %s', async (origin) => {
    expect(await statusOf(`${origin}:${port}/`, new AddressGuard())).toBe('ADDRESS_FORBIDDEN');
    expect(hits).toBe(0);
  });

  it('tests the address that is connected to, not the one a name had a moment before', async () => {
    const guard = new AddressGuard([], answering('8.8.8.8', '127.0.0.1'));
    await new Promise((resolve) => guard.lookup('rebinding.example', {}, resolve)); // the test at save time passes
    expect(await statusOf(`http://rebinding.example:${port}/`, guard)).toBe('ADDRESS_FORBIDDEN');
    expect(hits).toBe(0);
  });

  it('connects where the operator allows it', async () => {
    const guard = new AddressGuard(['127.0.0.1/32'], answering('127.0.0.1'));
    expect(await failureOf(guard.connect({ host: 'name.example', port }))).toBe('connected');
    expect(await failureOf(guard.connect({ host: '127.0.0.1', port }))).toBe('connected');
    expect(await statusOf(`http://name.example:${port}/`, guard)).toBe(204);
  });
});
