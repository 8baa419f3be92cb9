/** The process in which a library is checked, which may crash: see library-check.ts. */
import { checkLibrary, isLibraryName, type LibraryName } from "../compress/native/libraries.ts";
import { describeError, EXIT, type ExitCode } from "./exit.ts";
import { print } from "./print.ts";

/** The words are the name of a library and its path. */
export async function run([name = "", path = ""]: readonly string[]): Promise<ExitCode> {
  if (!isLibraryName(name)) return EXIT.BAD_USAGE;
  const fault = await faultAt(name, path);
  if (fault !== null) await print(`${fault}\n`);
  return EXIT.DONE;
}

async function faultAt(name: LibraryName, path: string): Promise<string | null> {
  try {
    return await checkLibrary(name, path);
  } catch (error) {
    return describeError(error);
  }
}
