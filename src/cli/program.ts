/**
 * Where this program is, the compiled file or Bun with its sources, and the hidden words that start
 * it as something else.
 */
import { join } from "node:path";

/** `check-library NAME PATH`: checked-library.ts. */
export const CHECK_LIBRARY = "check-library";

/** `complete WORD ...`: completion/complete.ts. */
export const COMPLETE = "complete";

/** The folder of the modules in the compiled file. */
const INSIDE = "/$bunfs/root/";

/**
 * The folder of this file. `bun run build` defines it as empty (--define), or the compiled file
 * would hold the path of its clone, and no two clones would make the same file.
 */
const SOURCES = import.meta.dirname;

function isCompiled(): boolean {
  return Bun.main.startsWith(INSIDE);
}

/** The command that starts this program again. */
export function programWords(): string[] {
  // The file may have been replaced since the start: the kernel still has this one.
  if (isCompiled()) return ["/proc/self/exe"];
  return [process.execPath, join(SOURCES, "../main.ts")];
}

/**
 * The path of the Worker in src/cold/worker.ts. It is an entry of its own in the compiled file,
 * under its path from the folder of main.ts: see "build" in package.json.
 */
export function coldWorkerPath(): string {
  return isCompiled() ? `${INSIDE}cold/worker.js` : join(SOURCES, "../cold/worker.ts");
}
