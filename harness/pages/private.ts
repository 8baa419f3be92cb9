/**
 * Content that no recorded page may contain: paths, names and settings of the machine that recorded
 * it. A page with any of it is left out and never edited. There are more pages than needed.
 */

import { Buffer } from "node:buffer";
import { hostname, userInfo } from "node:os";

/**
 * Absolute paths, environment variables, keys, network addresses and mail addresses. These patterns
 * name nothing of this machine, so tests on any machine can look for them.
 */
export const PRIVATE_PATTERN = new RegExp(
  [
    "/(?:bin|boot|dev|etc|home|lib|lib64|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|work)/",
    "(?:PATH|HOME|USER|SHELL|PWD|LANG|LC_ALL|TERM)=",
    "(?:[Tt]oken|TOKEN|[Pp]assword|PASSWORD|[Ss]ecret|SECRET|API_?KEY|api_?key)",
    "-----BEGIN|ssh-(?:rsa|ed25519)",
    "[a-z]{3,}://",
    "[A-Za-z0-9._-]+@[A-Za-z0-9-]+\\.[A-Za-z]{2}",
    "\\b(?:\\d{1,3}\\.){3}\\d{1,3}\\b",
  ].join("|"),
);

/** Tells whether a page contains something private to this machine or its user. */
export class PrivateFilter {
  private readonly words: readonly Buffer[];

  constructor() {
    // A value of one to three characters would match everywhere, and reveals nothing.
    const names = [hostname(), userInfo().username].filter((name) => name.length > 1);
    const values = Object.values(process.env).filter((value) => (value ?? "").length > 3);
    const words = [...names, ...values].map((word) => word ?? "");
    this.words = words.flatMap((word) => [Buffer.from(word), Buffer.from(word, "utf16le")]);
  }

  isPrivate(page: Uint8Array): boolean {
    const bytes = Buffer.from(page.buffer, page.byteOffset, page.byteLength);
    // Interpreters keep some strings with two bytes a character. Without the zeros, the patterns
    // match them too.
    const narrow = bytes.toString("latin1");
    const wide = narrow.replaceAll("\0", "");
    if (PRIVATE_PATTERN.test(narrow) || PRIVATE_PATTERN.test(wide)) return true;
    return this.words.some((word) => bytes.includes(word));
  }
}
