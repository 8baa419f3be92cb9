/** Which library of the system may be used: one that was found, and has passed its check. */
import { LIBRARIES, type LibraryName } from "../compress/native/libraries.ts";
import { type Found, findLibrary, libraryDirectories } from "../memory/system-library.ts";
import { checkInProcess } from "./library-check.ts";

export interface LibraryEnvironment {
  /** Where libraries are. Default: the directories of the system. */
  readonly directories?: readonly string[];
  /** Tries a library. @returns what is wrong with it, or null. */
  readonly check?: (name: LibraryName, path: string) => Promise<string | null>;
}

/** The path of the library, or why there is none: missing, not to be trusted, or faulty. */
export async function usableLibrary(
  name: LibraryName,
  { directories = libraryDirectories(), check = checkInProcess }: LibraryEnvironment,
): Promise<Found> {
  const found = findLibrary(LIBRARIES[name], directories);
  if (!("path" in found)) return found;
  const fault = await check(name, found.path);
  return fault === null ? found : { isMissing: false, reason: fault };
}
