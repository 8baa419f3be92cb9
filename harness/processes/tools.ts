/**
 * Programs of others that tests use. A test whose program is missing is skipped and says why. With
 * TOOLS=required, as in .ci/run, it fails instead.
 */

/** Some of them are in /sbin and /usr/sbin. */
export const TOOL_PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

/** PATH for a program that starts others by name. */
export const TOOL_ENVIRONMENT = { ...process.env, PATH: TOOL_PATH };

export const areToolsRequired = process.env.TOOLS === "required";

/** Path of a program, or null. */
export function which(program: string): string | null {
  return Bun.which(program, { PATH: TOOL_PATH });
}
