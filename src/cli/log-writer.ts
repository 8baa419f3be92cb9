/**
 * The log of a node as text for a person, or as JSON for a program that collects it.
 *
 *     ramster[3] net: link to node 1 is up
 *     ramster[3] net warn: Cannot link to node 2 at "10.0.0.2:7777": connection refused
 *     {"time":"2026-01-31T12:00:00.000Z","level":"info","area":"net","node":3,"name":"n3",
 *      "line":"link to node 1 is up"}        (on one line)
 */
import type { LogSink } from "../core/log.ts";
import type { LogFormat } from "../node/config.ts";

/** `node`: who writes, asked for each line since its number comes late. */
export function logWriter(
  format: LogFormat,
  node: () => { readonly number: number | null; readonly name: string },
  write: (line: string) => void,
): LogSink {
  return (level, area, line) => {
    const { number, name } = node();
    if (format === "json") {
      const time = new Date().toISOString();
      write(JSON.stringify({ time, level, area, node: number, name, line }));
      return;
    }
    const weight = level === "info" ? "" : ` ${level}`;
    write(`ramster[${number ?? name}] ${area}${weight}: ${line}`);
  };
}
