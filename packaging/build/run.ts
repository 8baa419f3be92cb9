/** Runs the programs that packages are built with, and reports what is missing in one line. */

/** A build that cannot go on, for a person. */
export class BuildError extends Error {}

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes for its standard input. */
  readonly input?: Uint8Array;
}

/** @returns what the program printed. Throws BuildError when it fails. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const [program = "", ...rest] = argv;
  const path = Bun.which(program);
  if (path === null) throw new BuildError(`Cannot build packages: there is no ${program}`);
  const child = Bun.spawn([path, ...rest], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, LC_ALL: "C", TZ: "UTC", ...options.env },
    stdin: options.input === undefined ? "ignore" : options.input,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.bytes(), child.stderr.text()]);
  const code = await child.exited;
  if (code === 0) return Buffer.from(out);
  const why = err.trim() || Buffer.from(out).toString().trim();
  throw new BuildError(`Cannot build packages: ${program} ended with ${code}: ${why}`);
}
