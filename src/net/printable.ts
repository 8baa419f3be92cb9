/** Of a text that another program sent, this much is shown. */
const FOREIGN_TEXT_LENGTH_MAX = 300;

/**
 * Text that another program sent, fit for a log and a terminal: one line of bounded length, without
 * control or format characters.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").slice(0, FOREIGN_TEXT_LENGTH_MAX);
}
