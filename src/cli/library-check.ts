/**
 * The check of a library in a process of its own. A library that crashes ends the process that
 * called it, and nothing can catch that. So the program starts itself again, with a hidden word:
 *
 *     ramster check-library lz4 /usr/lib/x86_64-linux-gnu/liblz4.so.1.9.4
 *
 * That process prints what is wrong, or nothing, and ends with 0 (checked-library.ts). It takes
 * 0.25 s of processor time, half of which is the start of the program. A node meanwhile joins its
 * cluster.
 */
import type { LibraryName } from "../compress/native/libraries.ts";
import { EXIT } from "./exit.ts";
import { CHECK_LIBRARY, programWords } from "./program.ts";

/** Far longer than a check takes on a busy machine. */
const CHECK_TIMEOUT_MS = 10_000;

/** Bun reports a crash to its makers, unless told not to. */
const NO_REPORTS = { BUN_ENABLE_CRASH_REPORTING: "0", DO_NOT_TRACK: "1" };

/** @returns what is wrong with the library, or null. */
export async function checkInProcess(
  name: LibraryName,
  path: string,
  timeoutMs = CHECK_TIMEOUT_MS,
): Promise<string | null> {
  const cmd = [...programWords(), CHECK_LIBRARY, name, path];
  const pipes = { stdin: "ignore", stdout: "pipe", stderr: "ignore" } as const;
  const env = { ...process.env, ...NO_REPORTS };
  try {
    const limits = { timeout: timeoutMs, killSignal: "SIGKILL" } as const;
    const child = Bun.spawn({ cmd, cwd: "/", env, ...pipes, ...limits });
    const [text, code] = await Promise.all([child.stdout.text(), child.exited]);
    const line = text.trim().split("\n")[0] ?? "";
    if (line !== "") return line;
    if (code === EXIT.DONE) return null;
    return `${path} fails its check: ${child.signalCode ?? `exit code ${code}`}`;
  } catch (error) {
    return `${path} cannot be checked: ${error instanceof Error ? error.message : error}`;
  }
}
