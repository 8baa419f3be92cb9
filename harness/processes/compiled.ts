/** The program as it is installed: one compiled file. */
import { join } from "node:path";
import { ended } from "./process-world.ts";

const ROOT = join(import.meta.dir, "../..");

/** Makes it at `path`, with the very command of `bun run build`. Some two seconds. */
export async function compileProgram(path: string): Promise<void> {
  const command = [process.execPath, "run", "--silent", "build", "--outfile", path];
  const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  const { code, stderr } = await ended(Bun.spawn(command, { cwd: ROOT, ...pipes }));
  if (code !== 0) throw new Error(`The program cannot be compiled: ${stderr}`);
}
