/**
 * Bodies: golden frames, mutated in body, count and type, with a header that admits the new length,
 * at the end of a buffer. src/wire refuses each with a reason, or can write it back byte for byte.
 */
import { BODY_BYTES_MAX, HEADER_BYTES } from "../../src/core/limits.ts";
import { below, type Random } from "../../src/core/random.ts";
import { HEADER } from "../../src/wire/header.ts";
import { MESSAGE } from "../../src/wire/messages.ts";
import { atEndOfBuffer, deliver } from "../wire/deliver.ts";
import { goodFixtures } from "../wire/fixtures.ts";
import { encodeFrame } from "../wire/json-frame.ts";
import { check, type Fuzzer, type FuzzTarget } from "./fuzzer.ts";
import { concat, mutate } from "./mutate.ts";

export const bodies: Fuzzer = {
  name: "bodies",
  about: "spoiled bodies of every message, requests and replies",
  smokeRuns: 20_000,
  open: async () => new BodiesTarget(),
};

const TYPES = Object.values(MESSAGE);

class BodiesTarget implements FuzzTarget {
  private readonly frames = goodFixtures().map(({ bytes }) => bytes);

  run(random: Random): void {
    const golden = this.frames[below(random, this.frames.length)] ?? new Uint8Array(HEADER_BYTES);
    const body = this.body(random, golden.subarray(HEADER_BYTES));
    const bytes = atEndOfBuffer(concat(golden.subarray(0, HEADER_BYTES), body));
    spoilHeader(random, new DataView(bytes.buffer, bytes.byteOffset));
    const { frames, error } = deliver(bytes);
    check(error === null && frames.length === 1, `the header is good: ${error}`);
    for (const { bytes: given, reason, json } of frames) {
      check(reason !== "", "a reason without words");
      if (json === null) continue;
      const again = Buffer.from(encodeFrame(json));
      check(again.equals(given), `written back otherwise: ${JSON.stringify(json)}`);
    }
  }

  /** Mutated, or whole and repeated: a batch of several entries, if the count fits. */
  private body(random: Random, golden: Uint8Array): Uint8Array {
    if (below(random, 4) === 0) {
      return concat(...new Array<Uint8Array>(1 + below(random, 5)).fill(golden));
    }
    return mutate(random, golden).subarray(0, BODY_BYTES_MAX);
  }
}

/** The right length, and at times another count, type or status. */
function spoilHeader(random: Random, view: DataView): void {
  view.setUint32(HEADER.BODY_BYTES, view.byteLength - HEADER_BYTES);
  if (below(random, 3) === 0) view.setUint32(HEADER.COUNT, below(random, 12));
  if (below(random, 8) === 0) {
    view.setUint8(HEADER.TYPE, TYPES[below(random, TYPES.length)] ?? below(random, 256));
  }
  if (below(random, 8) === 0) {
    const isReply = below(random, 2);
    view.setUint8(HEADER.FLAGS, isReply);
    view.setUint8(HEADER.TRANSPORT_STATUS, isReply * (below(random, 4) === 0 ? 1 : 0));
    view.setUint8(
      HEADER.HANDLER_STATUS,
      isReply * (below(random, 2) === 0 ? below(random, 256) : 0),
    );
    view.setUint32(HEADER.REQUEST, 1);
  }
}
