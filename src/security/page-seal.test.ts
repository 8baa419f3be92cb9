import { expect, test } from "bun:test";
import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { HANDLE_BYTES, Handle } from "../core/handle.ts";
import { VERSION_END } from "../core/limits.ts";
import { SeededRandom } from "../core/random.ts";
import { SEAL_TAG_WORDS, type Sealable } from "../core/seal.ts";
import { newSealKey, PageSeal, SEAL_KEY_BYTES } from "./page-seal.ts";

const KEY = newSealKey(new SeededRandom(1));
const seal = new PageSeal(KEY);

interface Sample {
  readonly handle: Handle;
  readonly zpage: Sealable & { readonly bytes: Uint8Array };
}

const WORD = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const samples: fc.Arbitrary<Sample> = fc
  .record({
    oid: fc.tuple(WORD, WORD, WORD),
    index: fc.nat(0xffff_ffff),
    pool: fc.nat(255),
    text: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    codec: fc.nat(1),
    version: fc.integer({ min: 1, max: VERSION_END - 1 }),
  })
  .map(({ oid, index, pool, text, codec, version }) => ({
    handle: new Handle().set(pool, oid, index),
    zpage: { bytes: text, at: 0, zpageBytes: text.length, codec, version },
  }));

function handleBytes(handle: Handle): Uint8Array {
  const bytes = new Uint8Array(HANDLE_BYTES);
  handle.write(new DataView(bytes.buffer), 0);
  return bytes;
}

/** The plain way to seal: the whole tag, of which PageSeal keeps the first 12 bytes. */
function plainSeal({ handle, zpage }: Sample): { text: Buffer; tag: Buffer } {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt8(zpage.codec, 0);
  nonce.writeUInt16BE(zpage.zpageBytes, 2);
  nonce.writeBigUInt64BE(BigInt(zpage.version), 4);
  const bound = Buffer.alloc(11);
  bound.writeBigUInt64BE(BigInt(zpage.version));
  bound[8] = zpage.codec;
  bound.writeUInt16BE(zpage.zpageBytes, 9);
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
  cipher.setAAD(Buffer.concat([handleBytes(handle), bound]));
  const text = Buffer.concat([cipher.update(zpage.bytes), cipher.final()]);
  return { text, tag: cipher.getAuthTag() };
}

function tagBytes(tag: Int32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(SEAL_TAG_WORDS * 4));
  for (const [i, word] of tag.entries()) view.setInt32(4 * i, word);
  return new Uint8Array(view.buffer);
}

/** A sealed copy of the sample. */
function sealed({ handle, zpage }: Sample): { zpage: Sample["zpage"]; tag: Int32Array } {
  const tag = new Int32Array(SEAL_TAG_WORDS);
  const copy = { ...zpage, bytes: zpage.bytes.slice() };
  seal.seal(handle, copy, tag);
  return { zpage: copy, tag };
}

function opens(handle: Handle, zpage: Sealable, tag: Int32Array): boolean {
  const target = new Uint8Array(256).fill(0xee);
  const isOpen = seal.open(handle, zpage, tag, target);
  if (!isOpen) expect(target.every((byte) => byte === 0xee)).toBe(true);
  return isOpen;
}

test("a page is sealed as AES-256-GCM does it, with a tag of 96 bits", () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const plain = plainSeal(sample);
      const { zpage, tag } = sealed(sample);
      expect([...zpage.bytes]).toEqual([...plain.text]);
      expect([...tagBytes(tag)]).toEqual([...plain.tag.subarray(0, 12)]);
    }),
  );
});

test("a sealed page can be opened again and again, and stays sealed", () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const { zpage, tag } = sealed(sample);
      const before = zpage.bytes.slice();
      for (let i = 0; i < 2; i += 1) {
        const target = new Uint8Array(zpage.zpageBytes);
        expect(seal.open(sample.handle, zpage, tag, target)).toBe(true);
        expect([...target]).toEqual([...sample.zpage.bytes]);
      }
      expect(zpage.bytes).toEqual(before);
    }),
  );
});

test("one version of a page in two codecs is not sealed with one nonce", () => {
  const handle = new Handle();
  // Zeros become the stream of the cipher: with one nonce it would be the same.
  const zpage = { bytes: new Uint8Array(64), at: 0, zpageBytes: 64, codec: 1, version: 7 };
  const hot = sealed({ handle, zpage });
  const cold = sealed({ handle, zpage: { ...zpage, codec: 2 } });
  const shorter = sealed({ handle, zpage: { ...zpage, zpageBytes: 32 } });
  expect(cold.zpage.bytes).not.toEqual(hot.zpage.bytes);
  expect(shorter.zpage.bytes.slice(0, 32)).not.toEqual(hot.zpage.bytes.slice(0, 32));
});

test("a page sealed twice is the same; another version or key changes it", () => {
  const handle = new Handle().set(1, [1n, 2n, 3n], 4);
  const zpage = { bytes: new Uint8Array(64), at: 0, zpageBytes: 64, codec: 1, version: 7 };
  const first = sealed({ handle, zpage });
  expect(sealed({ handle, zpage })).toEqual(first);
  const next = sealed({ handle, zpage: { ...zpage, version: 8 } });
  expect(next.zpage.bytes).not.toEqual(first.zpage.bytes);
  const other = { ...zpage, bytes: zpage.bytes.slice() };
  new PageSeal(newSealKey(new SeededRandom(2))).seal(handle, other, new Int32Array(3));
  expect(other.bytes).not.toEqual(first.zpage.bytes);
});

test("sealing changes only the zpage, at any offset, up to a whole page", () => {
  const handle = new Handle().set(1, [1n, 2n, 3n], 4);
  const bytes = new Uint8Array(5000).fill(9);
  const zpage = { bytes, at: 500, zpageBytes: 4096, codec: 0, version: 7 };
  const tag = new Int32Array(SEAL_TAG_WORDS);
  seal.seal(handle, zpage, tag);
  expect(bytes.subarray(0, 500).every((byte) => byte === 9)).toBe(true);
  expect(bytes.subarray(4596).every((byte) => byte === 9)).toBe(true);
  const target = new Uint8Array(4096);
  expect(seal.open(handle, zpage, tag, target)).toBe(true);
  expect(target.every((byte) => byte === 9)).toBe(true);
});

test("a changed bit of text, tag, handle, version, codec or length is found", () => {
  fc.assert(
    fc.property(samples, (sample) => {
      const { handle } = sample;
      const { zpage, tag } = sealed(sample);
      for (let bit = 0; bit < 8 * zpage.zpageBytes; bit += 1) {
        const bytes = zpage.bytes.slice();
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(opens(handle, { ...zpage, bytes }, tag)).toBe(false);
      }
      for (let bit = 0; bit < 32 * SEAL_TAG_WORDS; bit += 1) {
        const forged = tag.slice();
        forged[bit >> 5] = (forged[bit >> 5] ?? 0) ^ (1 << (bit & 31));
        expect(opens(handle, zpage, forged)).toBe(false);
      }
      const isReserved = (bit: number): boolean => bit >= 8 * (HANDLE_BYTES - 2);
      for (let bit = 0; bit < 8 * HANDLE_BYTES && !isReserved(bit); bit += 1) {
        const bytes = handleBytes(handle);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const other = new Handle();
        other.read(new DataView(bytes.buffer), 0);
        expect(opens(other, zpage, tag)).toBe(false);
      }
      for (let bit = 0; bit < 46; bit += 1) {
        const version = Number(BigInt(zpage.version) ^ (1n << BigInt(bit)));
        expect(opens(handle, { ...zpage, version }, tag)).toBe(false);
      }
      expect(opens(handle, { ...zpage, codec: 1 - zpage.codec }, tag)).toBe(false);
      expect(opens(handle, { ...zpage, zpageBytes: zpage.zpageBytes - 1 }, tag)).toBe(false);
      expect(opens(handle, zpage, tag)).toBe(true);
    }),
    { numRuns: 5 },
  );
});

test("a key is 32 bytes from the random source", () => {
  expect(KEY.length).toBe(SEAL_KEY_BYTES);
  expect(newSealKey(new SeededRandom(1))).toEqual(KEY);
  expect(newSealKey(new SeededRandom(2))).not.toEqual(KEY);
});
