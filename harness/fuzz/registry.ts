/** Every fuzzer. One a file; a new one is added here. */
import { bodies } from "./bodies.ts";
import { canary } from "./canary.ts";
import { framer } from "./framer.ts";
import type { Fuzzer } from "./fuzzer.ts";
import { gossipPacket, gossipStream } from "./gossip.ts";
import { lz4, nativeLz4 } from "./lz4.ts";
import { nbd } from "./nbd.ts";
import { blocks, zbud } from "./placement.ts";
import { bunZstd, nativeZstd } from "./zstd.ts";

export const FUZZERS: readonly Fuzzer[] = [
  framer,
  bodies,
  gossipPacket,
  gossipStream,
  lz4,
  ...nativeLz4,
  bunZstd,
  ...nativeZstd,
  nbd,
  zbud,
  blocks,
  canary,
];
