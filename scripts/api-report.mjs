// Writes what each package export offers to api/*.api.md, so that a review sees every change of it.
// Works on the built declarations; with --check, fails when a report is not up to date.
import { existsSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const check = process.argv.includes('--check');
const { name, exports } = JSON.parse(await readFile('package.json', 'utf8'));
const entries = Object.entries(exports).filter(([, target]) => typeof target === 'object');
mkdirSync('api', { recursive: true });

const stale = [];
for (const [path, { types }] of entries) {
  const entry = path === '.' ? 'index' : path.slice(2).replaceAll('/', '-');
  if (!existsSync(types))
    throw new Error(`${types}, declarations of "${name}${path.slice(1)}", is missing: run "npm run build"`);
  const result = Extractor.invoke(configFor(types, entry), {
    localBuild: !check,
    messageCallback: (message) => {
      message.handled = message.logLevel !== ExtractorLogLevel.Error && message.logLevel !== ExtractorLogLevel.Warning;
    },
  });
  if (result.apiReportChanged && check) stale.push(`api/${entry}.api.md`);
  if (result.errorCount > 0) process.exitCode = 1;
}
if (stale.length > 0) {
  console.error(
    `Run "npm run api" and look at the difference: ${stale.join(', ')} is not what the package offers now.`,
  );
  process.exitCode = 1;
}

function configFor(types, entry) {
  const off = { logLevel: 'none' };
  return ExtractorConfig.prepare({
    configObjectFullPath: resolve('package.json'),
    packageJsonFullPath: resolve('package.json'),
    configObject: {
      projectFolder: resolve('.'),
      mainEntryPointFilePath: resolve(types),
      compiler: { tsconfigFilePath: resolve('tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: `${entry}.api.md`,
        reportFolder: resolve('api'),
        reportTempFolder: resolve('temp', 'api'),
        includeForgottenExports: true,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        // Release tags and comment syntax are not what the report is for.
        extractorMessageReporting: { default: off },
        tsdocMessageReporting: { default: off },
      },
    },
  });
}
