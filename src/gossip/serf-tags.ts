/**
 * Serf's tags: names and values in the metadata of a member (hashicorp/serf, serf.go, encodeTags).
 *
 *     255 | msgpack map
 *
 * Metadata without the 255 are the value of the one tag "role", as the oldest Serf wrote them.
 */
import { ConfigError, WireError } from "../core/errors.ts";
import { META_BYTES_MAX } from "../core/limits.ts";
import { withId } from "./body.ts";
import { decodeMsgpack, encodeMsgpack, textOf } from "./msgpack.ts";

const MAGIC = 255;

export function tagsFit(tags: Readonly<Record<string, string>>): boolean {
  return withId(MAGIC, encodeMsgpack(tags)).byteLength <= META_BYTES_MAX;
}

/** Throws ConfigError BAD_CONFIG when they do not fit META_BYTES_MAX. */
export function encodeTags(tags: Readonly<Record<string, string>>): Uint8Array {
  const meta = withId(MAGIC, encodeMsgpack(tags));
  if (meta.byteLength <= META_BYTES_MAX) return meta;
  const detail = `${meta.byteLength} bytes, at most ${META_BYTES_MAX} fit`;
  throw new ConfigError("BAD_CONFIG", `Cannot send the tags of this node: ${detail}`);
}

/** No tags when the metadata are malformed. */
export function decodeTags(meta: Uint8Array): ReadonlyMap<string, string> {
  if (meta.byteLength === 0) return new Map();
  try {
    if (meta[0] !== MAGIC) return new Map([["role", textOf(meta, "role")]]);
    const tags = decodeMsgpack(meta.subarray(1));
    if (typeof tags !== "object" || tags === null || Array.isArray(tags)) return new Map();
    return new Map(Object.entries(tags).map(([name, value]) => [name, textOf(value, name)]));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return new Map();
  }
}
