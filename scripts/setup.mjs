// Makes a fresh clone ready. Runs before there are any dependencies: nothing but Node here.
//   node scripts/setup.mjs            npm dependencies
//   node scripts/setup.mjs --server   and a nats-server, found or obtained
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

checkNode();
const why = whyInstall();
if (why === undefined) {
  console.log('npm dependencies: up to date');
} else {
  console.log(`npm dependencies: ${why}, installing …`);
  // Not "npm ci": that refuses a lock file without the optional packages of platforms other than the one it was
  // written on. This takes the versions of the lock file too, and leaves the file as it is.
  npm('install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error');
}
if (process.argv.includes('--server')) {
  run(process.execPath, ['--import', '@swc-node/register/esm-register', 'scripts/find-server.ts']);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if ((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 24) return;
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8'));
  console.error(`Node ${process.versions.node} is not supported, use ${engines.node}.`);
  process.exit(1);
}

/** npm leaves a copy of the lock file in node_modules that says what is installed there. */
function whyInstall() {
  const wanted = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
  let installed;
  try {
    installed = JSON.parse(readFileSync('node_modules/.package-lock.json', 'utf8')).packages;
  } catch {
    return 'missing';
  }
  const stale = Object.entries(wanted).find(([path, { version, optional }]) => {
    // Optional packages are for other platforms too; an empty path is this package.
    if (path === '' || (optional && installed[path] === undefined)) return false;
    return installed[path]?.version !== version;
  });
  return stale && `${stale[0].replace(/^node_modules\//, '')} is not the version of package-lock.json`;
}

function npm(...args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) run(process.execPath, [cli, ...args]);
  else run('npm', args, { shell: process.platform === 'win32' });
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
