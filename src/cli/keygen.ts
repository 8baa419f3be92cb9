/** `ramster keygen`: the key of a new cluster, in a file that nobody else can read. */
import { closeSync, openSync, writeSync } from "node:fs";
import { formatKeyFile } from "../security/key-file.ts";
import { makeKey } from "../security/make-key.ts";
import { describeError, EXIT, type ExitCode } from "./exit.ts";
import type { KeygenOptions } from "./options.ts";
import { print } from "./print.ts";
import { badValue } from "./units.ts";

export async function run({ outPath, days }: KeygenOptions): Promise<ExitCode> {
  const file = outPath === null ? null : create(outPath);
  const text = formatKeyFile(await makeKey({ nowMs: Date.now(), days }));
  if (file === null) {
    await print(text);
    return EXIT.DONE;
  }
  writeSync(file, text);
  closeSync(file);
  return EXIT.DONE;
}

/** A new file, born with its mode; one that is there is somebody's key and stays. */
function create(path: string): number {
  try {
    return openSync(path, "wx", 0o600);
  } catch (error) {
    const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
    const detail = exists ? "the file exists, and may be somebody's key" : describeError(error);
    throw badValue({ flag: "out", text: path }, detail);
  }
}
