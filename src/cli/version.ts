/** `ramster version`: the versions that nodes must agree on and that a bug report needs. */
import { arch, platform } from "node:os";
import { VERSION } from "../core/build.ts";
import { PROTOCOL_VERSION } from "../core/limits.ts";
import { EXIT } from "./exit.ts";
import type { VersionOptions } from "./options.ts";
import { printAnswer } from "./print.ts";

/** As text: `ramster 0.1.0, protocol 1, Bun 1.4.5, linux x64`. */
export async function run(options: VersionOptions): Promise<number> {
  const [version, protocol, bun] = [VERSION, PROTOCOL_VERSION, Bun.version];
  const [system, machine] = [platform(), arch()];
  const text = `ramster ${version}, protocol ${protocol}, Bun ${bun}, ${system} ${machine}`;
  await printAnswer({ text, json: { version, protocol, bun, system, machine } }, options);
  return EXIT.DONE;
}
