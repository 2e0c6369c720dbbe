// Who may import whom: the levels of the architecture. dependency-cruiser checks it; see `npm run imports:check`.

/** Folders of lib from the ground up. A folder imports from levels below its own, never from a sibling. */
const levels = [
  ['common'],
  ['codec', 'telemetry'],
  ['connection'],
  ['stream', 'store'],
  ['coordination'],
  ['flow'],
  ['testing', 'pino', 'opentelemetry', 'throttler', 'terminus'],
];
/** Package exports of their own, so that what they need stays optional for those who do not import them. */
const adapters = levels.at(-1);
const folders = levels.flat();
const folderPath = (names) => `^lib/(${names.join('|')})/`;

const levelRules = levels.flatMap((level, height) =>
  level.map((folder) => ({
    name: `level-of-${folder}`,
    comment: `lib/${folder} is on level ${height}: it imports from lower levels only.`,
    severity: 'error',
    from: { path: folderPath([folder]) },
    to: {
      path: '^lib/',
      pathNot: [folderPath([folder, ...levels.slice(0, height).flat()])],
    },
  })),
);

/** Names as they are imported: resolution turns a package into a path below node_modules. */
const packages = (names) => `(^|node_modules/)(${names})(/|$)`;

module.exports = {
  forbidden: [
    ...levelRules,
    {
      name: 'folder-without-level',
      comment: 'A new folder of lib gets a level in scripts/import-rules.cjs first.',
      severity: 'error',
      from: {},
      to: { path: '^lib/[^/]+/', pathNot: [folderPath(folders)] },
    },
    {
      name: 'adapters-stay-optional',
      comment: 'The main entry must not load what only an adapter needs.',
      severity: 'error',
      from: { path: '^lib/[^/]+\\.ts$' },
      to: { path: folderPath(adapters) },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that need each other are one module, or miss a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'broker-stays-in-its-rooms',
      comment: '@nats-io is for connection, stream, store and testing; everything above speaks their language.',
      severity: 'error',
      from: { path: '^(lib|sample)/', pathNot: ['^lib/(connection|stream|store|testing)/'] },
      to: { path: packages('@nats-io') },
    },
    {
      name: 'inner-rooms-without-nest',
      comment: 'What is below the decorators works without Nest.',
      severity: 'error',
      from: {
        path: '^lib/(common|codec|telemetry|connection|stream|store/engine|coordination|flow/graph)/',
        pathNot: '^lib/coordination/nest/',
      },
      to: { path: packages('@nestjs') },
    },
    {
      name: 'graph-is-pure',
      comment: 'A graph is built, checked and described without a server.',
      severity: 'error',
      from: { path: '^lib/flow/graph/' },
      to: { path: '^lib/(connection|stream|store)/' },
    },
    {
      name: 'optional-pino',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/pino/' },
      to: { path: packages('nestjs-pino|pino|pino-http') },
    },
    {
      name: 'optional-throttler',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/throttler/' },
      to: { path: packages('@nestjs/throttler') },
    },
    {
      name: 'optional-opentelemetry-sdk',
      comment: 'The library itself needs the API only.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/opentelemetry/' },
      to: { path: packages('@opentelemetry/(?!api)[^/]+') },
    },
    {
      name: 'samples-as-users',
      comment: 'A sample imports the package by its public name, as users do.',
      severity: 'error',
      from: { path: '^sample/' },
      to: {
        path: '^(lib|test|scripts)/',
        dependencyTypesNot: ['aliased', 'aliased-tsconfig', 'aliased-tsconfig-paths'],
      },
    },
    {
      name: 'lib-alone',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(test|sample|scripts)/' },
    },
    {
      name: 'lib-ships-its-dependencies',
      comment: 'What the library imports is in dependencies or peerDependencies.',
      severity: 'error',
      from: { path: '^lib/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'types', 'default'],
    },
  },
};
