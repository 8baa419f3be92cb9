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
import { parseArgs } from "./cli/args.ts";
import { describeError, EXIT, exitCodeOf } from "./cli/exit.ts";
import { helpText } from "./cli/help.ts";
import type { CommandName, CommandOptions, Invocation } from "./cli/options.ts";
import { paintFor } from "./cli/paint.ts";
import { print } from "./cli/print.ts";
import { drainStreams, finishStreams, openStreams, type Streams } from "./cli/streams.ts";
import { readTextFile } from "./cli/text-file.ts";
import { ConfigError } from "./core/errors.ts";
import { CONFIG_BYTES_MAX } from "./core/limits.ts";

interface CommandModule<Options> {
  run(options: Options, streams: Streams): Promise<number>;
}

/** Each is loaded only when it is asked for: `version` needs no sockets. */
const COMMANDS: { readonly [C in CommandName]?: () => Promise<CommandModule<CommandOptions[C]>> } =
  {
    key: () => import("./cli/key-ring.ts"),
    keygen: () => import("./cli/keygen.ts"),
    node: () => import("./cli/node.ts"),
    server: () => import("./cli/server.ts"),
    drain: () => import("./cli/drain.ts"),
    get: () => import("./cli/get.ts"),
    set: () => import("./cli/set.ts"),
    stats: () => import("./cli/stats.ts"),
    status: () => import("./cli/status.ts"),
    stress: () => import("./cli/stress.ts"),
    swap: () => import("./cli/swap/swap.ts"),
    version: () => import("./cli/version.ts"),
  };

const streams = openStreams();

async function dispatch<C extends CommandName>(invocation: Invocation<C>): Promise<number> {
  const load = COMMANDS[invocation.command];
  if (load === undefined) {
    const what = `Cannot run "${invocation.command}"`;
    throw new ConfigError("BAD_CONFIG", `${what}: it is not part of this build`);
  }
  const module = await load();
  return module.run(invocation.options, streams);
}

async function main(): Promise<number> {
  const invocation = parseArgs(process.argv.slice(2), {
    hostName: hostname(),
    readText: (path) => readTextFile(path, CONFIG_BYTES_MAX),
  });
  if (invocation.command !== "help") return dispatch(invocation);
  const paint = paintFor(process.stdout, process.env);
  await print(helpText(invocation.about, paint));
  return EXIT.DONE;
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
