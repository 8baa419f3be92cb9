/** KeyFileReport: what a node has found in its key file when it read that again. */
import { quoted } from "../core/errors.ts";
import { allOneLine } from "../core/printable.ts";
import { fieldsOf, isFlag, isText, parseShape } from "./shape.ts";

export interface KeyFileReport {
  /** The whole path. */
  readonly file: string;
  /** Whether it had other certificates than those in use. */
  readonly changed: boolean;
  /** The time at which the certificate in use ends, in ISO 8601. */
  readonly valid_until: string;
}

const isReport = fieldsOf<KeyFileReport>({ file: isText, changed: isFlag, valid_until: isText });

/** The report, fit for a terminal. Throws WireError. */
export function parseKeyFileReport(text: string): KeyFileReport {
  return allOneLine(parseShape(text, "a report about a key file", isReport));
}

/** The report as a line, for the log of the node and for who asked. */
export function keyFileText({ file, changed, valid_until: end }: KeyFileReport): string {
  const what = changed
    ? "its certificates have changed"
    : "its certificates are the same as before";
  return `read the key file ${quoted(file)}: ${what}, valid until ${end}`;
}
