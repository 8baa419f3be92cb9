/**
 * How many pages a second a program puts and gets in batches: what client.ts runs on each runtime.
 *
 *     RUNTIME client-rates.mjs MODULE MILLISECONDS ADDRESS [KEY_FILE]
 *
 * MODULE exports `connect`. Prints the rates as JSON.
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const [module, milliseconds, address, keyPath] = process.argv.slice(2);
const { connect } = await import(module);
const key = keyPath === undefined ? undefined : readFileSync(keyPath, "utf8");
const client = await connect(address, { key });
const pool = await client.newPool({ persistent: true });
const COUNT = 4096;
/** Messages of 256 pages that are under way at once. */
const WINDOW = 4;

// One repeated word takes the node the least time, so that the client's part shows.
const entries = Array.from({ length: COUNT }, (_, index) => {
  return { oid: [1n, 2n, 3n], index, page: new Uint8Array(4096).fill(index) };
});

async function rate(work) {
  const start = performance.now();
  let pages = 0;
  while (performance.now() - start < Number(milliseconds)) {
    for (let from = 0; from < COUNT; from += 256 * WINDOW) {
      await work(entries.slice(from, from + 256 * WINDOW));
      pages += 256 * WINDOW;
    }
  }
  return (pages / (performance.now() - start)) * 1000;
}

const put = (some) => pool.putMany(some);
const get = (some) => pool.getMany(some);
await rate(put); // Compiled code, and pages that are there.
const rates = { put: await rate(put), get: await rate(get) };
await pool.destroy();
await client.close();
console.log(JSON.stringify(rates));
