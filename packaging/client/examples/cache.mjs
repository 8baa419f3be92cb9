// A cache in the memory of a cluster, in plain JavaScript:
//
//     node cache.mjs unix:/run/ramster/owner.sock
//     deno run --allow-all cache.mjs tcp:10.0.0.1:7780 cluster.key
//
// The pool is ephemeral: the node drops pages when it needs room, so the cache needs no limit of
// its own. A cache never waits long: a miss is cheaper.
import { readFileSync } from "node:fs";
import process from "node:process";
import { connect, RamsterError } from "@ramster/client";

const PAGE_BYTES = 4096;

const [address = "unix:/run/ramster/owner.sock", keyPath] = process.argv.slice(2);
const key = keyPath === undefined ? undefined : readFileSync(keyPath, "utf8");

const client = await connect(address, { key });
const pool = await client.newPool({ persistent: false });

/** What is worth caching. */
let computed = 0;
function squares(n) {
  computed += 1;
  return Array.from({ length: n }, (_, i) => i * i);
}

async function cached(name, compute) {
  const found = await lookUp(name);
  if (found !== null) return found;
  const value = compute();
  const text = new TextEncoder().encode(JSON.stringify(value));
  if (text.length > PAGE_BYTES) return value;
  const page = new Uint8Array(PAGE_BYTES).fill(32); // JSON may end with spaces.
  page.set(text);
  const { stored, reason } = await pool.put(name, page);
  if (!stored) console.log(`${name} is not cached: ${reason}`);
  return value;
}

async function lookUp(name) {
  try {
    const signal = AbortSignal.timeout(1000);
    const page = await pool.get(name, { remove: "never", signal });
    return page === null ? null : JSON.parse(new TextDecoder().decode(page));
  } catch (error) {
    // No answer is a miss, too.
    if (error instanceof RamsterError || error.name === "TimeoutError") return null;
    throw error;
  }
}

for (let round = 0; round < 3; round += 1) {
  for (let n = 0; n < 100; n += 1) await cached(`squares of ${n}`, () => squares(n));
}
console.log(`300 look-ups, ${computed} computed`);

await pool.destroy();
await client.close();
