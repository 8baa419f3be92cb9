/** memberlist's compressed message (`compress` in net.go): an algorithm and bytes. */
import { WireError } from "../core/errors.ts";
import { GOSSIP_WHOLE_BYTES_MAX } from "../core/limits.ts";
import { decodeLzw } from "./lzw.ts";
import { decodeMsgpack, Fields } from "./msgpack.ts";

/** lzwAlgo, the only algorithm. */
const ALGO_LZW = 0;

/** The message inside, with its id: at most `bytesMax` bytes. Throws WireError BAD_FRAME. */
export function decompress(body: Uint8Array, bytesMax: number): Uint8Array {
  const fields = new Fields(decodeMsgpack(body, GOSSIP_WHOLE_BYTES_MAX));
  const algo = fields.count("Algo");
  if (algo !== ALGO_LZW) {
    throw new WireError("BAD_FRAME", `Cannot decompress gossip: algorithm ${algo} is unknown`);
  }
  return decodeLzw(fields.bytes("Buf", GOSSIP_WHOLE_BYTES_MAX), bytesMax);
}
