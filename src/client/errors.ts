/** Failures of the client library that carry more than a code. */
import { RamsterError } from "../core/errors.ts";

/**
 * A persistent page that was accepted cannot be had: code LOST when it is gone, UNREACHABLE when
 * its holder does not answer now and a later get may succeed. Never thrown for a miss.
 */
export class PageError extends RamsterError {
  override readonly name = "PageError";
  /** For getMany: what became of each key, in order; the pages that were found are here. */
  readonly results: ReadonlyArray<Uint8Array | null | "lost" | "unreachable">;

  constructor(
    code: "LOST" | "UNREACHABLE",
    message: string,
    results: ReadonlyArray<Uint8Array | null | "lost" | "unreachable">,
  ) {
    super(code, message);
    this.results = results;
  }
}
