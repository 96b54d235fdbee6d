import { bucketCheck } from './bucket.check.js';

let made = 0;
jest.mock('@aws-sdk/client-s3', () => ({
  HeadBucketCommand: class {},
  S3Client: class {
    constructor() {
      made += 1;
      if (made === 1) throw new Error('settings not readable just now');
    }
    send = async () => ({});
  },
}));

it('tries again to open what could not be opened, and opens it once', async () => {
  const check = bucketCheck({ bucket: 'backups' });
  const context = { signal: new AbortController().signal };
  await expect(check(context)).rejects.toThrow('just now');
  await check(context);
  await check(context);
  expect(made).toBe(2);
});
