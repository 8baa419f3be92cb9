/**
 * The canary: a decoder with a fault that every working fuzz rig finds. About once in some tens of
 * inputs it accepts a length that is one byte too long.
 */
import { below, type Random } from "../../src/core/random.ts";
import { check, type Fuzzer } from "./fuzzer.ts";
import { randomBytes } from "./mutate.ts";

export const canary: Fuzzer = {
  name: "canary",
  about: "fails by design: shows that failures are seen and can be repeated",
  smokeRuns: 2000,
  mustFail: true,
  open: async () => ({ run }),
};

/** Names of u8 length and bytes, in sequence. */
function run(random: Random): void {
  const bytes = randomBytes(random, 1 + below(random, 24));
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end > bytes.length + 1) return; // The fault is `+ 1`: it accepts one byte too many.
    check(end <= bytes.length, `a name was read to ${end} of ${bytes.length} bytes`);
    at = end;
  }
}
