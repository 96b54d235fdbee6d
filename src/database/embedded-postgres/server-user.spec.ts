import { NOBODY, maySearch, serverUserFor } from './server-user.js';

const ann = { uid: 1000, gid: 1000 };

describe(maySearch.name, () => {
  const root = { uid: 0, gid: 0 };

  it.each([
    ['a stranger through 0755', { ...root, mode: 0o40755 }, true],
    ['a stranger through 0711', { ...root, mode: 0o40711 }, true],
    ['a stranger through 0700', { ...root, mode: 0o40700 }, false],
    ['a stranger through 0744', { ...root, mode: 0o40744 }, false],
    ['the group through 0710', { uid: 0, gid: ann.gid, mode: 0o40710 }, true],
    [
      'the group through 0701: its own bits count, not those of others',
      { uid: 0, gid: ann.gid, mode: 0o40701 },
      false,
    ],
    ['the owner through 0700', { ...ann, mode: 0o40700 }, true],
    ['the owner through 0077', { ...ann, mode: 0o40077 }, false],
  ])('lets %s: %#', (_case, folder, expected) => {
    expect(maySearch(folder, ann)).toBe(expected);
  });
});

describe(serverUserFor.name, () => {
  const as = (uid: number, owner?: typeof ann) => {
    jest.spyOn(process, 'getuid').mockReturnValue(uid);
    return serverUserFor('/data/postgres', owner);
  };
  afterEach(() => jest.restoreAllMocks());

  it('is "nobody" for a database that root makes, and the owner of one that is there', () => {
    expect(as(0)).toEqual(NOBODY);
    expect(as(0, ann)).toEqual(ann);
  });

  it('is the ordinary user himself, who cannot become another', () => {
    expect(as(1000)).toBeUndefined();
    expect(as(1000, ann)).toBeUndefined();
    expect(() => as(1001, ann)).toThrow(expect.objectContaining({ code: 'WRONG_OWNER' }));
  });

  it('is never root, also when the files were restored as root', () => {
    expect(() => as(0, { uid: 0, gid: 0 })).toThrow('chown -R 65534:65534 /data/postgres');
  });
});
