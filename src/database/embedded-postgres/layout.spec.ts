import { SYSTEM_DIRECTORY, parseState, systemClusterDirectory } from './layout.js';

describe(systemClusterDirectory.name, () => {
  it('lies below /var/lib/vigia, apart for each DATA_DIR', () => {
    const [one, other] = ['/root/one/data', '/root/other/data'].map((root) =>
      systemClusterDirectory(root, SYSTEM_DIRECTORY),
    );
    expect(one).toMatch(/^\/var\/lib\/vigia\/[0-9a-f]{16}\/postgres$/);
    expect(other).not.toBe(one);
  });
});

describe(parseState.name, () => {
  it('reads what was remembered', () => {
    const state = { dataDirectory: '/data/postgres', port: 21344, major: 18 };
    expect(parseState(JSON.stringify(state))).toEqual(state);
  });

  it.each([
    undefined,
    '',
    '{',
    '[]',
    'null',
    '{"port":"21344"}',
    '{"dataDirectory":"/x","port":1.5,"major":18}',
  ])('takes %j for nothing remembered', (text) => expect(parseState(text)).toBeUndefined());
});
