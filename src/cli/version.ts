/** `ramster version`: the versions that nodes must agree on and that a bug report needs. */
import { arch, platform } from "node:os";
import { VERSION } from "../core/build.ts";
import { PROTOCOL_VERSION } from "../core/limits.ts";
import { EXIT } from "./exit.ts";
import { print } from "./print.ts";

/** `ramster 0.1.0, protocol 1, Bun 1.4.5, linux x64`. */
function versionText(): string {
  const machine = `${platform()} ${arch()}`;
  return `ramster ${VERSION}, protocol ${PROTOCOL_VERSION}, Bun ${Bun.version}, ${machine}`;
}

export async function run(): Promise<number> {
  await print(`${versionText()}\n`);
  return EXIT.DONE;
}
