import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** The release that is downloaded or built when the machine has no nats-server. */
export const PINNED_VERSION = '2.15.2';

/** Name of the program's file on this platform. */
export const BINARY_NAME = process.platform === 'win32' ? 'nats-server.exe' : 'nats-server';

/** Directory of this library in the user's cache directory, by the platform's custom. */
function cacheDirectory(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (process.platform === 'win32' && local) return join(local, 'nestjs-jetstream-flow');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'nestjs-jetstream-flow');
  return join(xdg || join(homedir(), '.cache'), 'nestjs-jetstream-flow');
}

/** Where the binary that came from `origin` (`v2.15.2`, `debian`) is kept. */
export function cachedBinary(origin: string): string {
  return join(cacheDirectory(), `nats-server-${origin}`, BINARY_NAME);
}

/** Whether `path` is a file that may be executed. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Lets `make` produce a binary in a fresh directory and moves it into the cache. The move is atomic: when
 * several processes do this at once, each sees a whole file and the last one stays.
 *
 * @param make Gets the directory, returns the path of the binary in it.
 */
export async function storeInCache(origin: string, make: (directory: string) => Promise<string>): Promise<string> {
  const target = cachedBinary(origin);
  await mkdir(dirname(target), { recursive: true });
  const directory = await mkdtemp(join(dirname(target), 'making-'));
  try {
    await rename(await make(directory), target);
    return target;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
