// A buffer that is larger than this program wants to keep: its pages are in the memory of a cluster.
//
//     node spill.mjs unix:/run/ramster/owner.sock
import { readFileSync } from "node:fs";
import process from "node:process";
import { connect } from "@ramster/client";

const PAGE_BYTES = 4096;
const BATCH = 1024;

const [address = "unix:/run/ramster/owner.sock", keyPath] = process.argv.slice(2);
const key = keyPath === undefined ? undefined : readFileSync(keyPath, "utf8");

const client = await connect(address, { key });
// Persistent: each page stays until it is flushed. Whole: no page is refused for its contents.
const pool = await client.newPool({ persistent: true, storeWhole: true });

/** Writes bytes from a page on; the length is a multiple of a page. */
async function write(firstPage, bytes) {
  for (let from = 0; from < bytes.length; from += BATCH * PAGE_BYTES) {
    const part = bytes.subarray(from, from + BATCH * PAGE_BYTES);
    const entries = [];
    for (let at = 0; at < part.length; at += PAGE_BYTES) {
      const page = part.subarray(at, at + PAGE_BYTES);
      entries.push({ key: firstPage + (from + at) / PAGE_BYTES, page });
    }
    const results = await pool.putMany(entries);
    const refused = results.find(({ stored }) => !stored);
    if (refused !== undefined) throw new Error(`the cluster is full: ${refused.reason}`);
  }
}

/** Reads as many pages. A page that was never written is zeros. */
async function read(firstPage, pageCount) {
  const keys = Array.from({ length: pageCount }, (_, i) => firstPage + i);
  const bytes = new Uint8Array(pageCount * PAGE_BYTES);
  for (const [i, page] of (await pool.getMany(keys)).entries()) {
    if (page !== null) bytes.set(page, i * PAGE_BYTES);
  }
  return bytes;
}

// 16 MiB, a megabyte at a time.
const PAGES_PER_MIB = 256;
for (let mib = 0; mib < 16; mib += 1) {
  const bytes = new Uint8Array(PAGES_PER_MIB * PAGE_BYTES);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0; i < words.length; i += 1) words[i] = mib * words.length + i;
  await write(mib * PAGES_PER_MIB, bytes);
}
let wrong = 0;
for (let mib = 15; mib >= 0; mib -= 1) {
  const words = new Uint32Array((await read(mib * PAGES_PER_MIB, PAGES_PER_MIB)).buffer);
  for (let i = 0; i < words.length; i += 1) if (words[i] !== mib * words.length + i) wrong += 1;
}
console.log(`16 MiB written and read, ${wrong} words wrong`);

await pool.destroy();
await client.close();
