/** `ramster completion SHELL`: prints the script that makes a shell complete command lines. */
import { EXIT, type ExitCode } from "../exit.ts";
import type { CompletionOptions } from "../options.ts";
import { print } from "../print.ts";
import { completionScript } from "./scripts.ts";

export async function run({ shell }: CompletionOptions): Promise<ExitCode> {
  await print(completionScript(shell));
  return EXIT.DONE;
}
