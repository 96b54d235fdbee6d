import { parseTarget, TargetInvalidError } from './target.js';

describe(parseTarget.name, () => {
  it.each([
    ['http', 'https://example.com/health?deep=1', { host: 'example.com', port: 443, tls: true }],
    ['http', 'http://0x7f000001:8080/', { host: '127.0.0.1', port: 8080, tls: false }],
    ['http', 'http://127.1/', { host: '127.0.0.1', port: 80 }],
    ['http', 'http://[::ffff:127.0.0.1]/', { host: '::ffff:7f00:1', port: 80 }],
    ['tcp', 'example.com:5672', { host: 'example.com', port: 5672 }],
    ['tcp', 'tcp://0177.0.0.1:22', { host: '127.0.0.1', port: 22 }],
    ['tcp', '2130706433:22', { host: '127.0.0.1', port: 22 }],
    ['tcp', '[::1]:22', { host: '::1', port: 22 }],
    ['postgres', 'postgres://db.example.com/app', { host: 'db.example.com', port: 5432 }],
    ['postgres', 'db.example.com:6432', { host: 'db.example.com', port: 6432 }],
    ['redis', 'rediss://cache.example.com', { host: 'cache.example.com', port: 6379, tls: true }],
    ['s3', 'https://s3.example.com/my-bucket', { host: 's3.example.com', port: 443 }],
  ] as const)('reads %s %s', (kind, text, target) => expect(parseTarget(kind, text)).toMatchObject(target));

  it.each([
    ['http', 'file:///etc/passwd'],
    ['http', 'gopher://example.com/'],
    ['http', 'javascript:alert(1)'],
    ['http', 'example.com'],
    ['http', 'http://user:pass@example.com/'],
    ['http', 'http://@example.com/'],
    ['http', 'http://example.com/\r\nX: 1'],
    ['http', 'http://exa mple.com/'],
    ['tcp', 'example.com'],
    ['tcp', 'http://example.com:80'],
    ['tcp', 'example.com:99999'],
    ['postgres', 'postgres://app:secret@db.example.com/app'],
    ['postgres', 'postgres://db.example.com/app?host=/var/run'],
    ['redis', 'redis://:secret@cache.example.com'],
    ['s3', 'https://s3.example.com/'],
    ['s3', 'https://s3.example.com/bucket/key'],
    ['s3', 's3://bucket'],
  ] as const)('refuses %s %s', (kind, text) =>
    expect(() => parseTarget(kind, text)).toThrow(TargetInvalidError),
  );
});
