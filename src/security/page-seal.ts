/**
 * PageSeal seals the pages that leave a node, with AES-256-GCM. The holder of a sealed page cannot
 * read it, change it, or return it in place of another page or version.
 *
 *     key     32 random bytes, made at each start of the node, in its memory only
 *     nonce   codec, u8 | 0 | zpage bytes, u16 | version, u64
 *     bound   handle, 32 bytes | version, u64 | codec, u8 | zpage bytes, u16
 *     tag     the first 96 bits of the tag of GCM, kept by the owner and never sent
 *
 * A nonce must never be used for two texts. A version belongs to one handle and one page while the
 * key is used. The page has one zpage for each codec: it may be sealed and sent, come back unsent,
 * be compressed again (src/cold), and be sealed once more. The key ends with the node, or with what
 * it keeps (node/kept-node.ts), in which no version is used again. The zpage must be undamaged when
 * it is sealed (ramster/seals.ts), since a damaged one would be a second text. The same zpage gives
 * the same bytes each time, as its copies need.
 *
 * A tag of 96 bits is enough. A forger has one guess for each fetch. A guess succeeds once in 2^87
 * at most, since a text has at most 259 blocks (NIST SP 800-38D, appendix B).
 *
 * node:crypto needs a cipher object for each page: the one place where a page allocates.
 */
import {
  type CipherGCM,
  type CipherGCMOptions,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
} from "node:crypto";
import { HANDLE_BYTES, type Handle } from "../core/handle.ts";
import type { Random } from "../core/random.ts";
import { SEAL_TAG_WORDS, type Seal, type Sealable } from "../core/seal.ts";
import { writeVersion } from "../core/version.ts";

const ALGORITHM = "aes-256-gcm";
export const SEAL_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const VERSION_AT = HANDLE_BYTES;
const CODEC_AT = VERSION_AT + 8;
const SIZE_AT = CODEC_AT + 1;
const BOUND_BYTES = SIZE_AT + 2;
const OPTIONS: CipherGCMOptions = { authTagLength: SEAL_TAG_WORDS * 4 };

export class PageSeal implements Seal {
  private readonly key: KeyObject;
  private readonly nonce = new Uint8Array(NONCE_BYTES);
  private readonly nonceView = new DataView(this.nonce.buffer);
  private readonly bound = new Uint8Array(BOUND_BYTES);
  private readonly boundView = new DataView(this.bound.buffer);
  private readonly tagBytes = new Uint8Array(SEAL_TAG_WORDS * 4);
  private readonly tagView = new DataView(this.tagBytes.buffer);

  /** The key is copied. */
  constructor(key: Uint8Array) {
    this.key = createSecretKey(key);
  }

  seal(handle: Handle, zpage: Sealable, tag: Int32Array): void {
    this.bind(handle, zpage);
    const cipher: CipherGCM = createCipheriv(ALGORITHM, this.key, this.nonce, OPTIONS);
    cipher.setAAD(this.bound);
    zpage.bytes.set(cipher.update(textOf(zpage)), zpage.at);
    cipher.final(); // GCM has no padding: this only makes the tag.
    this.tagBytes.set(cipher.getAuthTag());
    for (let i = 0; i < SEAL_TAG_WORDS; i += 1) tag[i] = this.tagView.getInt32(4 * i);
  }

  open(handle: Handle, zpage: Sealable, tag: Int32Array, target: Uint8Array): boolean {
    this.bind(handle, zpage);
    for (let i = 0; i < SEAL_TAG_WORDS; i += 1) this.tagView.setInt32(4 * i, tag[i] ?? 0);
    const decipher: DecipherGCM = createDecipheriv(ALGORITHM, this.key, this.nonce, OPTIONS);
    decipher.setAAD(this.bound);
    decipher.setAuthTag(this.tagBytes);
    const text = decipher.update(textOf(zpage));
    try {
      decipher.final();
    } catch {
      return false; // The tag does not match: the only error that there is.
    }
    target.set(text);
    return true;
  }

  private bind(handle: Handle, { version, codec, zpageBytes }: Sealable): void {
    this.nonceView.setUint8(0, codec);
    this.nonceView.setUint16(2, zpageBytes);
    writeVersion(this.nonceView, NONCE_BYTES - 8, version);
    handle.write(this.boundView, 0);
    writeVersion(this.boundView, VERSION_AT, version);
    this.boundView.setUint8(CODEC_AT, codec);
    this.boundView.setUint16(SIZE_AT, zpageBytes);
  }
}

/** The key of a starting node. A real node must pass the random source of the system. */
export function newSealKey(random: Random): Uint8Array {
  const key = new DataView(new ArrayBuffer(SEAL_KEY_BYTES));
  for (let at = 0; at < SEAL_KEY_BYTES; at += 4) key.setUint32(at, random.u32());
  return new Uint8Array(key.buffer);
}

function textOf({ bytes, at, zpageBytes }: Sealable): Uint8Array {
  return bytes.subarray(at, at + zpageBytes);
}
