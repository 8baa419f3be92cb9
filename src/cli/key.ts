/** --key: the key file that proves that a node or a program belongs to the cluster. */
import { statSync } from "node:fs";
import { ConfigError } from "../core/errors.ts";
import { type ClusterKey, KEY_FILE_BYTES_MAX, parseKeyFile } from "../security/key-file.ts";
import { fileReason } from "./system-error.ts";
import { readTextFile } from "./text-file.ts";
import { badValue } from "./units.ts";

/** Mode bits that let other users read the file, and so access the whole cluster. */
const OTHERS_MODE = 0o077;
/** Root may let a group read its file: so it reaches a service, and a pod of Kubernetes. */
const OTHERS_MODE_OF_ROOT = 0o037;

/**
 * The text of the file. `read` is readTextAgain in a process that must not wait. Throws ConfigError
 * BAD_CONFIG with one line that names the file.
 */
export function readKeyText(path: string, flag = "key", read = readTextFile): string {
  const given = { flag, text: path };
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw badValue(given, "it is a directory");
    const refused = stat.uid === 0 ? OTHERS_MODE_OF_ROOT : OTHERS_MODE;
    if ((stat.mode & refused) !== 0) {
      throw badValue(given, "other users can read it, run chmod 600 on it and consider a new key");
    }
    return read(path, KEY_FILE_BYTES_MAX);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw badValue(given, fileReason(error));
  }
}

/** The key in the file. Throws as readKeyText does. */
export function readKey(path: string, flag = "key", read = readTextFile): ClusterKey {
  const text = readKeyText(path, flag, read);
  try {
    return parseKeyFile(text, Date.now());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw badValue({ flag, text: path }, error.message);
  }
}
