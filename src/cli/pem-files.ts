/**
 * PEM files: the certificate of a cluster for programs that do not read key files, such as QEMU and
 * those of libnbd. The names are those of QEMU's tls-creds-x509.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsMaterial } from "../net/transport.ts";
import { fileReason } from "./system-error.ts";
import { badValue } from "./units.ts";

/**
 * Writes three files, and makes their folder. Files of an earlier key are replaced, as after a
 * renewal. @returns the names of the files. Throws ConfigError BAD_CONFIG in one line.
 */
export function writePemFiles(folder: string, tls: TlsMaterial): string[] {
  const { authority, certificate, key } = tls;
  const texts = {
    "ca-cert.pem": authority,
    "client-cert.pem": certificate,
    "client-key.pem": key,
  };
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(texts)) {
      const path = join(folder, name);
      writeFileSync(path, `${text.trim()}\n`, { mode: 0o600 });
      chmodSync(path, 0o600); // The file may have been there with another mode.
    }
  } catch (error) {
    throw badValue({ flag: "pem", text: folder }, fileReason(error));
  }
  return Object.keys(texts);
}
