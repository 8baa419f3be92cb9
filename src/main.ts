/**
 * ramster: from the command line to a command. The only place that ends the process.
 *
 *     argv -> parseArgs -> COMMANDS -> run(options) -> exit code
 *
 * A command returns its exit code or throws. Whatever is thrown anywhere, also in a callback of a
 * socket, ends here: one line on stderr and the code that exit.ts has for it. Nobody who reads
 * these streams can keep it from ending.
 */
import { hostname } from "node:os";
import { isHelpRequest, parseArgs } from "./cli/args.ts";
import type { Machine } from "./cli/command.ts";
import { describeError, EXIT, exitCodeOf } from "./cli/exit.ts";
import { helpText } from "./cli/help.ts";
import { paintFor } from "./cli/paint.ts";
import { print } from "./cli/print.ts";
import { CHECK_LIBRARY, COMPLETE } from "./cli/program.ts";
import { drainStreams, finishStreams, openStreams } from "./cli/streams.ts";
import { readTextAgain, readTextFile } from "./cli/text-file.ts";
import { columnsOf } from "./cli/width.ts";
import { COMMANDS } from "./commands.ts";
import { assert } from "./core/assert.ts";
import { CONFIG_BYTES_MAX } from "./core/limits.ts";

const streams = openStreams();

async function main(): Promise<number> {
  const [word, ...words] = process.argv.slice(2);
  if (word === CHECK_LIBRARY) return (await import("./cli/checked-library.ts")).run(words);
  if (word === COMPLETE) {
    return (await import("./cli/completion/complete.ts")).complete(words, COMMANDS);
  }
  const machine: Machine = {
    hostName: hostname(),
    environment: process.env,
    readText: (path) => readTextFile(path, CONFIG_BYTES_MAX),
  };
  const parsed = parseArgs(process.argv.slice(2), machine, COMMANDS);
  if (isHelpRequest(parsed)) {
    const paint = paintFor(process.stdout, process.env);
    await print(helpText(parsed.about, COMMANDS, paint, columnsOf(process.stdout)));
    return EXIT.DONE;
  }
  const command = COMMANDS.find(({ name }) => name === parsed.command);
  assert(command !== undefined, parsed.command);
  const module = await command.load();
  const readAgain = () => {
    const readText = (path: string) => readTextAgain(path, CONFIG_BYTES_MAX);
    const again = parseArgs(process.argv.slice(2), { ...machine, readText }, COMMANDS);
    assert(!isHelpRequest(again));
    return again.options;
  };
  return module.run(parsed.options, streams, readAgain);
}

function stop(error: unknown): never {
  const paint = paintFor(process.stderr, process.env);
  finishStreams(streams, `${paint.bad("ramster:")} ${describeError(error)}`);
  process.exit(exitCodeOf(error));
}

process.on("uncaughtException", stop);
process.on("unhandledRejection", stop);
main().then(async (code) => {
  await drainStreams(streams);
  process.exit(code);
}, stop);
