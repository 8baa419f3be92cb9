// A map of JSON values that two clients share, in TypeScript:
//
//     node map.ts unix:/run/ramster/owner.sock        Node 24
//     deno run --allow-all map.ts ADDRESS
//     bun map.ts ADDRESS
//
// For Node 20 and 22, compile it first: they do not know `await using`.
import { readFileSync } from "node:fs";
import process from "node:process";
import { connect, RemoteMap, type ValueCodec } from "@ramster/client";

interface Person {
  name: string;
  born: number;
  notes: string;
}

const json: ValueCodec<Person> = {
  encode: (value) => new TextEncoder().encode(JSON.stringify(value)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
};

const [address = "unix:/run/ramster/owner.sock", keyPath] = process.argv.slice(2);
const key = keyPath === undefined ? undefined : readFileSync(keyPath, "utf8");

await using client = await connect(address, { key });
await using pool = await client.newPool({ persistent: true, storeWhole: true });
const people = new RemoteMap<string, Person>(pool, { codec: json });

await people.set("ada", { name: "Ada Lovelace", born: 1815, notes: "Note G. ".repeat(5000) });
await people.set("alan", { name: "Alan Turing", born: 1912, notes: "" });
const result = await people.set("grace", { name: "Grace Hopper", born: 1906, notes: "A-0" });
if (!result.stored) console.log(`Grace is refused: ${result.reason}`);

// Another client, which may be another program on another machine.
{
  await using other = await connect(address, { key });
  const shared = await other.openPool(pool.id, await pool.token());
  const view = new RemoteMap<string, Person>(shared, { codec: json });
  await view.delete("alan");
  for await (const [name, person] of view) {
    console.log(`${name}: ${person.name}, ${person.born}, ${person.notes.length} characters`);
  }
}
console.log(`${await people.size()} people`);
// Without its token being known elsewhere, the end of the block would destroy the pool.
await pool.destroy();
