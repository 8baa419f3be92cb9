/** Failures of the client library that carry more than a code. */
import { RamsterError } from "../core/errors.ts";

/**
 * A persistent page that was accepted cannot be read. Code LOST: it has no copy left. UNREACHABLE:
 * no holder answers now, and a later get may succeed. Never thrown for a miss.
 */
export class PageError extends RamsterError {
  override readonly name = "PageError";
  /** For getMany: the result of each key, in order, with the pages that were read. */
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
