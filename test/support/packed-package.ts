import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

interface Manifest {
  readonly name: string;
  readonly files: readonly string[];
}

interface Tool {
  readonly bin: Readonly<Record<string, string>>;
}

/** Packages of programs that have another name. */
const PACKAGE_OF: Readonly<Record<string, string>> = { tsc: 'typescript' };

/** What a program that ended well wrote. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * An application's directory with the package as `npm pack` makes it from the present sources, and beside it the
 * dependencies of the repository.
 */
export class PackedPackageApp implements AsyncDisposable {
  private constructor(
    /** The application's directory; it holds nothing but `node_modules`. */
    readonly directory: string,
    private readonly root: string,
  ) {}

  static async create(): Promise<PackedPackageApp> {
    const root = await mkdtemp(join(tmpdir(), 'flow-packed-'));
    const app = new PackedPackageApp(join(root, 'app'), root);
    try {
      const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
      await app.install(manifest, await app.pack(manifest));
      return app;
    } catch (error) {
      await app[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs a program of `node_modules/.bin`, or node itself, in the application's directory. Rejects when it fails. */
  async run(program: string, args: readonly string[]): Promise<Output> {
    const script = program === 'node' ? [] : [await scriptOf(program)];
    try {
      return await execute(process.execPath, [...script, ...args], { cwd: this.directory });
    } catch (error) {
      const { stdout, stderr } = error as Output;
      throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  /** Builds beside the repository's own `dist`, which others may be using. */
  private async pack({ files }: Manifest): Promise<string> {
    const source = join(this.root, 'package');
    await execute(process.execPath, [
      await scriptOf('tsc'),
      '-p',
      'tsconfig.build.json',
      '--outDir',
      join(source, 'dist'),
    ]);
    for (const file of ['package.json', ...files.filter((name) => name !== 'dist')]) {
      await cp(file, join(source, file), { recursive: true });
    }
    const { stdout } = await execute('npm', ['pack', '--ignore-scripts', '--json', '--loglevel=error'], {
      cwd: source,
      shell: process.platform === 'win32',
    });
    const [packed] = JSON.parse(stdout) as { filename: string }[];
    return join(source, packed?.filename ?? '');
  }

  private async install({ name }: Manifest, archive: string): Promise<void> {
    const modules = join(this.directory, 'node_modules');
    await mkdir(join(modules, name), { recursive: true });
    await execute('tar', ['-xzf', archive, '--strip-components', '1', '-C', join(modules, name)]);
    const installed = await readdir('node_modules');
    await Promise.all(
      installed.map((entry) => symlink(resolve('node_modules', entry), join(modules, entry), 'junction')),
    );
  }
}

/** The script behind a program of `node_modules/.bin`: run by node itself, it needs no shell. */
async function scriptOf(program: string): Promise<string> {
  const folder = resolve('node_modules', PACKAGE_OF[program] ?? program);
  const { bin } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Tool;
  return join(folder, bin[program] ?? '');
}
