/**
 * The program as it is installed: one compiled file. Tests run it rather than the sources: it is
 * what users have, and it starts in half the time.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const PROGRAM = join(ROOT, "dist/tested/ramster");
/** What goes into it. */
const SOURCES = ["src", "harness", "package.json", "bun.lock", "tsconfig.json"];

/** Its path. It is compiled first, in some two seconds, when a source is newer than it. */
export function compiledProgram(): string {
  if (!existsSync(PROGRAM) || lastChangeMs() > statSync(PROGRAM).mtimeMs) {
    mkdirSync(join(PROGRAM, ".."), { recursive: true });
    // Several test runners may do so at once: each has its own file until it is whole.
    const own = `${PROGRAM}.${process.pid}`;
    compile(own);
    renameSync(own, PROGRAM);
  }
  return PROGRAM;
}

/** With the very command of `bun run build`. */
function compile(path: string): void {
  const command = [process.execPath, "run", "--silent", "build", "--outfile", path];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: ROOT });
  if (exitCode !== 0) throw new Error(`Cannot compile the program: ${stderr.toString()}`);
}

/** Folders count, too: a file that was removed changes only them. */
function lastChangeMs(): number {
  const paths = SOURCES.map((name) => join(ROOT, name)).flatMap((path) => [
    path,
    ...(statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true }).map((name) => join(path, name.toString()))
      : []),
  ]);
  return paths.reduce((last, path) => Math.max(last, statSync(path).mtimeMs), 0);
}
