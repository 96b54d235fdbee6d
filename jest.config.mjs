// Everything, node_modules included, becomes CommonJS: on Node 20 jest's own ESM mode cannot load the
// CommonJS packages that require ESM ones.
const swc = (parser, transform) => [
  '@swc/jest',
  {
    jsc: { target: 'es2022', parser, transform, keepClassNames: true },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
    swcrc: false,
  },
];
const typescript = swc(
  { syntax: 'typescript', decorators: true },
  { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
);
const javascript = swc({ syntax: 'ecmascript' });

const shared = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': typescript, '^.+\\.m?js$': javascript },
  transformIgnorePatterns: [],
};

const suite = (displayName, testMatch) => ({ ...shared, displayName, testMatch: [`<rootDir>/${testMatch}`] });

export default {
  testTimeout: 30_000,
  maxWorkers: 2,
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  projects: [
    suite('unit', 'src/**/*.spec.ts'),
    suite('integration', 'test/integration/**/*.integration-spec.ts'),
    suite('e2e', 'test/e2e/**/*.e2e-spec.ts'),
    suite('chaos', 'test/chaos/**/*.chaos-spec.ts'),
  ],
};
