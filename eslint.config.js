import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const swallowed = [
  {
    selector:
      'CallExpression[callee.property.name="catch"] > ArrowFunctionExpression[params.length=0]:matches([body.type="BlockStatement"][body.body.length=0], [body.name="undefined"], [body.raw="null"])',
    message: 'Nothing swallows an error: let it reach the caller, the retry policy or the log.',
  },
];

const flaky = [
  {
    selector:
      'CallExpression > MemberExpression.callee[object.name=/^(it|test|describe)$/][property.name=/^(only|skip|skipIf|runIf|todo|fails)$/]',
    message: 'Skip inside the test with context.skip(reason), so that the report says why; leave nothing else out.',
  },
  {
    selector: 'CallExpression[callee.object.name="vi"][callee.property.name=/^(mock|doMock)$/]',
    message: 'Test against the real thing; hand in what must differ.',
  },
  {
    selector:
      'Property[key.name="retry"][parent.parent.type="CallExpression"][parent.parent.callee.name=/^(it|test|describe)$/]',
    message: 'A flaky test is a bug in the test or in the library: find it instead of repeating.',
  },
];

export default defineConfig(
  globalIgnores(['dist/', 'temp/', 'coverage/', '**/gen/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'max-lines': ['error', { max: 300 }],
      'no-restricted-syntax': ['error', ...swallowed],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // Modules of Nest are classes that only carry a decorator.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // Nest declares its options as classes that everybody gives object literals for.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'all' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['lib/**/*.ts'],
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      'no-console': 'error',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...swallowed, ...flaky],
      // `server.pid!` in a test says that the test is about a running server; when it is wrong, the test fails.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Fakes and handlers have the shape that is asked for, also where they need nothing of it.
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    files: ['test/types/**/*.ts'],
    // Only the compiler looks at these.
    rules: { '@typescript-eslint/no-unused-expressions': 'off', '@typescript-eslint/no-unused-vars': 'off' },
  },
  {
    files: ['test/{unit,integration,e2e,chaos}/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [{ name: 'node:timers/promises', message: 'Never sleep to wait: use until() or await the event.' }] },
      ],
    },
  },
);
