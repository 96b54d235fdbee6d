import { parsePostmasterPid } from './postmaster.js';

const file = (status: string) =>
  ['4711', '/data/postgres', '1763640000', '21344', '', '127.0.0.1', ' 1234567  8', status, ''].join('\n');

describe(parsePostmasterPid.name, () => {
  it.each([
    ['ready   ', 'ready'],
    ['stopping', 'stopping'],
    ['starting', 'starting'],
    ['standby ', 'starting'],
  ])('reads process, port and status %j', (written, status) => {
    expect(parsePostmasterPid(file(written))).toEqual({ pid: 4711, port: 21344, status });
  });

  it('takes a server that has not written its status yet for a starting one', () => {
    const young = file('').split('\n').slice(0, 5).join('\n');
    expect(parsePostmasterPid(young)).toEqual({ pid: 4711, port: 21344, status: 'starting' });
  });

  it.each([
    undefined,
    '',
    '\n',
    '4711',
    '4711\n/data/postgres\n1763640000\n',
    '-4711\na\nb\n21344',
    'x\ny\nz\n21344',
  ])('sees no server in the incomplete file %j', (text) => expect(parsePostmasterPid(text)).toBeUndefined());
});
