/**
 * The program as it is installed: one compiled file. Tests run it rather than the sources, because
 * users have it, and because it starts in half the time.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const PROGRAM = join(ROOT, "dist/tested/ramster");
/** Sources that the compiled file depends on. */
const SOURCES = ["src", "harness", "fixtures", "package.json", "bun.lock", "tsconfig.json"];

/** Path of the compiled file. Compiled first, in about two seconds, when a source is newer. */
export function compiledProgram(): string {
  if (!existsSync(PROGRAM) || lastChangeMs() > statSync(PROGRAM).mtimeMs) {
    mkdirSync(join(PROGRAM, ".."), { recursive: true });
    // Several test runners may compile at once: each writes its own file and renames it.
    const own = `${PROGRAM}.${process.pid}`;
    compile(own);
    renameSync(own, PROGRAM);
  }
  return PROGRAM;
}

/** Compiles with the command of `bun run build`. */
function compile(path: string): void {
  const command = [process.execPath, "run", "--silent", "build", "--outfile", path];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: ROOT });
  if (exitCode !== 0) throw new Error(`Cannot compile the program: ${stderr.toString()}`);
}

/** Of the sources, and `more`. Folders count, too: removing a file changes only its folder. */
export function lastChangeMs(more: readonly string[] = []): number {
  const paths = [...SOURCES, ...more]
    .map((name) => join(ROOT, name))
    .flatMap((path) => [
      path,
      ...(statSync(path).isDirectory()
        ? readdirSync(path, { recursive: true }).map((name) => join(path, name.toString()))
        : []),
    ]);
  return paths.reduce((last, path) => Math.max(last, statSync(path).mtimeMs), 0);
}
