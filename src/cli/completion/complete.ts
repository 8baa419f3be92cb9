/** `ramster complete WORD ...`: what a script of scripts.ts asks for. The help does not show it. */
import { EXIT, type ExitCode } from "../exit.ts";
import type { CommandSpec } from "../flag-spec.ts";
import { print } from "../print.ts";
import { candidatesFor } from "./candidates.ts";
import { FILES, FOLDERS } from "./scripts.ts";

export async function complete(
  words: readonly string[],
  commands: readonly CommandSpec[],
): Promise<ExitCode> {
  await print(candidateText(words, commands));
  return EXIT.DONE;
}

export function candidateText(words: readonly string[], commands: readonly CommandSpec[]): string {
  const found = candidatesFor(words, commands);
  if (found === "files") return `${FILES}\n`;
  if (found === "folders") return `${FOLDERS}\n`;
  return found.map(({ word, help }) => `${word}\t${help}\n`).join("");
}
