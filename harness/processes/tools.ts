/**
 * Other people's programs that tests use. Where one is missing a test is skipped and says why,
 * unless TOOLS=required, as in .ci/run: then it fails for want of it.
 */

/** Some of them are in the administrator's directories. */
export const TOOL_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** For a program that starts others by their name. */
export const TOOL_ENVIRONMENT = { ...process.env, PATH: TOOL_PATH };

export const areToolsRequired = process.env.TOOLS === "required";

/** Where a program is, or null. */
export function which(program: string): string | null {
  return Bun.which(program, { PATH: TOOL_PATH });
}
