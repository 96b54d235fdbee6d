import type { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { CheckRun } from '../check-runner.js';
import { CheckFailedError } from '../error-code.js';

interface Bucket {
  readonly bucket: string;
  readonly endpoint?: string;
  readonly region?: string;
}

/** HeadBucket with the credentials that the work uses. The SDK takes 30 MB, so it is loaded only where there is a bucket. */
export function bucketCheck({ bucket, endpoint, region = 'us-east-1' }: Bucket): CheckRun {
  let ready: Promise<{ client: S3Client; command: HeadBucketCommand }> | undefined;
  const open = async () => {
    const { HeadBucketCommand: Head, S3Client: Client } = await import('@aws-sdk/client-s3');
    const address = endpoint ? { endpoint, forcePathStyle: true } : {};
    return {
      client: new Client({ region, maxAttempts: 1, ...address }),
      command: new Head({ Bucket: bucket }),
    };
  };
  return async ({ signal }) => {
    ready ??= open().catch((error: unknown) => {
      ready = undefined; // a failure to load the SDK or its settings may pass
      throw error;
    });
    const { client, command } = await ready;
    try {
      await client.send(command, { abortSignal: signal });
    } catch (error) {
      throw codedError(error);
    }
  };
}

function codedError(error: unknown): unknown {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return error;
  const { httpStatusCode: status } = error.$metadata as { httpStatusCode?: number };
  if (status === undefined) return error;
  return new CheckFailedError(status === 401 || status === 403 ? 'AUTH' : `HTTP_${status}`);
}
