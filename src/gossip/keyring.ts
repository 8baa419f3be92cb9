/**
 * Keyring: the keys of gossip, and AES-GCM as memberlist uses it (security.go, keyring.go).
 *
 *     version, u8 | nonce, 12 bytes | ciphertext | tag, 16 bytes
 *
 * Version 1 is written. Version 0, which pads with PKCS #7, is read too. The first key encrypts.
 * Every key is tried to decrypt, so that keys can be replaced while nodes run.
 */
import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { ConfigError, WireError } from "../core/errors.ts";
import { GOSSIP_KEYS_MAX } from "../core/limits.ts";
import type { Random } from "../core/random.ts";

/** Why gossip in clear is refused. */
export const NOT_ENCRYPTED = "it is not encrypted, as if its sender had no --key";

const VERSION_PADDED = 0;
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
/** By the length of the key: AES-128, AES-192, AES-256. */
const CIPHERS: ReadonlyMap<number, "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm"> = new Map([
  [16, "aes-128-gcm"],
  [24, "aes-192-gcm"],
  [32, "aes-256-gcm"],
]);

/** Enough to tell a few keys apart, and no help to guess one. */
const FINGERPRINT_DIGITS = 12;

/** The bytes that encryption adds to a message. */
export const ENCRYPTION_BYTES = 1 + NONCE_BYTES + TAG_BYTES;

export class Keyring {
  private readonly random: Random;
  private readonly ring: Uint8Array[] = [];
  private readonly readFile: (() => readonly Uint8Array[] | null) | null;

  /**
   * The first of `keys` encrypts. `random` makes the nonces: a real node must pass the random
   * source of the system. `readFile` reads the key file again. Throws ConfigError BAD_CONFIG for a
   * key of a wrong length.
   */
  constructor(
    keys: readonly Uint8Array[],
    random: Random,
    readFile: (() => readonly Uint8Array[] | null) | null = null,
  ) {
    this.random = random;
    this.readFile = readFile;
    for (const key of keys) this.add(key);
    if (this.ring.length === 0) throw refuse("a keyring without a key");
  }

  /**
   * The keys in the key file now: those of the next start. Null: there is no file that
   * can be read again. Throws ConfigError when the file cannot be read.
   */
  inFile(): readonly Uint8Array[] | null {
    return this.readFile?.()?.slice(0, GOSSIP_KEYS_MAX) ?? null;
  }

  /** Names of the keys that are safe to print. The key that encrypts is the first. */
  fingerprints(): string[] {
    return this.ring.map(fingerprintOf);
  }

  /** The key with this fingerprint. Throws ConfigError when there is none. */
  byFingerprint(fingerprint: string): Uint8Array {
    const key = this.ring.find((it) => fingerprintOf(it) === fingerprint);
    if (key === undefined) throw refuse(`key "${fingerprint}": it is not in the keyring`);
    return key;
  }

  /** The key that encrypts is the first. */
  keys(): readonly Uint8Array[] {
    return this.ring;
  }

  /** Adds a key that decrypts. */
  add(key: Uint8Array): void {
    if (!CIPHERS.has(key.byteLength)) {
      throw refuse(`a key of ${key.byteLength} bytes: it must be 16, 24 or 32 bytes long`);
    }
    if (this.indexOf(key) >= 0) return;
    if (this.ring.length === GOSSIP_KEYS_MAX)
      throw refuse(`more than ${GOSSIP_KEYS_MAX} keys: remove one first`);
    this.ring.push(key.slice());
  }

  /** Encrypts with `key` from now on. It must be in the keyring. */
  use(key: Uint8Array): void {
    const index = this.indexOf(key);
    if (index < 0) throw refuse("a key that is not in the keyring: add it first");
    this.ring.unshift(...this.ring.splice(index, 1));
  }

  /** Removes a key, but never the one that encrypts. */
  remove(key: Uint8Array): void {
    const index = this.indexOf(key);
    if (index === 0) {
      const what = "Cannot remove the key that encrypts: use another key first";
      throw new ConfigError("BAD_CONFIG", what);
    }
    if (index > 0) this.ring.splice(index, 1);
  }

  /** `extra` is authenticated, but is not part of the result. */
  encrypt(plain: Uint8Array, extra: Uint8Array): Uint8Array {
    const [key] = this.ring;
    const name = CIPHERS.get(key?.byteLength ?? 0);
    if (key === undefined || name === undefined) throw refuse("a keyring without a key");
    const sealed = new Uint8Array(ENCRYPTION_BYTES + plain.byteLength);
    const view = new DataView(sealed.buffer);
    sealed[0] = VERSION;
    for (let at = 1; at <= NONCE_BYTES; at += 4) view.setUint32(at, this.random.u32());
    const cipher = createCipheriv(name, key, sealed.subarray(1, 1 + NONCE_BYTES));
    cipher.setAAD(extra);
    sealed.set(cipher.update(plain), 1 + NONCE_BYTES);
    cipher.final();
    sealed.set(cipher.getAuthTag(), sealed.byteLength - TAG_BYTES);
    return sealed;
  }

  /** Throws WireError BAD_FRAME when no key fits: it is forged, damaged, or of another cluster. */
  decrypt(sealed: Uint8Array, extra: Uint8Array): Uint8Array {
    const version = sealed[0];
    if (sealed.byteLength <= ENCRYPTION_BYTES || version === undefined || version > VERSION) {
      throw unreadable(NOT_ENCRYPTED);
    }
    for (const key of this.ring) {
      const plain = open(key, sealed, extra);
      if (plain !== null) return version === VERSION_PADDED ? unpad(plain) : plain;
    }
    throw unreadable("no gossip key of this node fits");
  }

  private indexOf(key: Uint8Array): number {
    return this.ring.findIndex((it) => Buffer.compare(it, key) === 0);
  }
}

export function isFingerprint(text: string): boolean {
  return text.length === FINGERPRINT_DIGITS && /^[0-9a-f]+$/.test(text);
}

/** The first bytes of SHA-256 of a key, in hex. */
export function fingerprintOf(key: Uint8Array): string {
  return createHash("sha256").update(key).digest("hex").slice(0, FINGERPRINT_DIGITS);
}

/** Null when the key does not fit. */
function open(key: Uint8Array, sealed: Uint8Array, extra: Uint8Array): Uint8Array | null {
  const name = CIPHERS.get(key.byteLength);
  if (name === undefined) return null;
  const end = sealed.byteLength - TAG_BYTES;
  const decipher = createDecipheriv(name, key, sealed.subarray(1, 1 + NONCE_BYTES));
  decipher.setAAD(extra);
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(1 + NONCE_BYTES, end));
  try {
    decipher.final();
  } catch {
    return null; // The tag does not match: the only error that there is.
  }
  return plain;
}

function unpad(plain: Uint8Array): Uint8Array {
  const count = plain.at(-1) ?? 0;
  if (count === 0 || count > BLOCK_BYTES || count > plain.byteLength) {
    throw unreadable("its padding is invalid");
  }
  return plain.subarray(0, plain.byteLength - count);
}

function unreadable(reason: string): WireError {
  return new WireError("BAD_FRAME", `Cannot decrypt gossip: ${reason}`);
}

function refuse(what: string): ConfigError {
  return new ConfigError("BAD_CONFIG", `Cannot use ${what}`);
}
