/** Compiles the program for a machine, with the command of `bun run build`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Machine, NAME, ROOT } from "./release.ts";
import { run } from "./run.ts";

/**
 * @returns the path of the compiled file. It is never stripped, since the program is behind the
 * sections. Its name is in the file, so it is the same for all.
 */
export async function compile(machine: Machine, folder: string): Promise<string> {
  const path = join(folder, machine.debian, NAME);
  mkdirSync(join(folder, machine.debian), { recursive: true });
  const flags = ["--target", machine.target, "--outfile", path];
  await run([process.execPath, "run", "--silent", "build", ...flags], { cwd: ROOT });
  return path;
}
