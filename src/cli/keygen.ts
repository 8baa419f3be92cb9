/**
 * `ramster keygen`: makes the key of a new cluster, or does the next step of replacing a
 * certificate, or writes a certificate for other programs. Only its owner can read the files, and
 * the group that could read the file of which a certificate is replaced.
 *
 * Without --out, standard output is the key file. With --out or --pem, it is one line that says
 * where the key is, and what to do with it.
 */
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { ConfigError, quoted, RamsterError } from "../core/errors.ts";
import { type ClusterKey, formatKeyFile, parseKeyFile } from "../security/key-file.ts";
import { makeKey } from "../security/make-key.ts";
import { renewKey } from "../security/renew-key.ts";
import { describeError, EXIT, type ExitCode } from "./exit.ts";
import { readKey, readKeyText } from "./key.ts";
import type { KeygenOptions } from "./options.ts";
import { writePemFiles } from "./pem-files.ts";
import { printAnswer } from "./print.ts";
import { fileReason } from "./system-error.ts";
import { badValue } from "./units.ts";

const KEY_MODE = 0o600;
const GROUP_MODE = 0o040;

export async function run(options: KeygenOptions): Promise<ExitCode> {
  const { outPath, pem } = options;
  if (pem !== null) {
    const names = writePemFiles(pem.folder, readKey(pem.from, "from").tls);
    const what = `the certificate is in ${quoted(pem.folder)} (${names.join(", ")})`;
    const text = `${what}: copy these to the machines of NBD clients`;
    await printAnswer({ text, json: { directory: pem.folder, files: names } }, options);
    return EXIT.DONE;
  }
  const text = formatKeyFile(await keyFor(options));
  if (outPath === null) {
    await printAnswer({ text: text.trimEnd(), json: { key: text } }, options);
    return EXIT.DONE;
  }
  const file = create(outPath);
  try {
    if (options.renew !== null) letReadersOf(options.renew.path, file);
    writeFileSync(file, text);
    fsyncSync(file); // A file system may report only now that it is full.
    closeSync(file);
  } catch (error) {
    // A partial key is useless, and the file would make the next attempt fail.
    unlinkSync(outPath);
    throw new RamsterError(
      "OUTPUT_FAILED",
      `Cannot write ${quoted(outPath)}: ${describeError(error)}`,
    );
  }
  const where = `the key is in ${quoted(outPath)}: ${nextStep(options)}`;
  await printAnswer({ text: where, json: { file: outPath } }, options);
  return EXIT.DONE;
}

function nextStep({ renew }: KeygenOptions): string {
  if (renew === null) {
    const how = "with scp -p, which keeps it unreadable for others";
    return `copy it to each machine of the cluster ${how}`;
  }
  const place = `put it in place of ${quoted(renew.path)} on every node`;
  return `${place}, and run ramster key reload for each before the next step`;
}

async function keyFor({ renew, days }: KeygenOptions): Promise<ClusterKey> {
  const fresh = () => makeKey({ nowMs: Date.now(), days });
  if (renew === null) return fresh();
  const given = { flag: "renew", text: renew.path };
  try {
    return await renewKey(parseKeyFile(readKeyText(renew.path, "renew"), null), renew.step, fresh);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.message.startsWith("Cannot use")) throw error;
    throw badValue(given, error.message);
  }
}

/** Root lets the group of a key file, that of a service, read the file that is to replace it. */
function letReadersOf(path: string, file: number): void {
  const { uid, gid, mode } = statSync(path);
  if (process.getuid?.() !== 0 || uid !== 0 || (mode & GROUP_MODE) === 0) return;
  fchownSync(file, uid, gid);
  fchmodSync(file, KEY_MODE | GROUP_MODE);
}

/**
 * Creates a new file with its final mode. A file that exists may be a key, so it is not replaced.
 */
function create(path: string): number {
  try {
    return openSync(path, "wx", KEY_MODE);
  } catch (error) {
    const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
    const detail = exists ? "the file exists, and may be somebody's key" : fileReason(error);
    throw badValue({ flag: "out", text: path }, detail);
  }
}
