/** `bun run client`: makes dist/client and the tarball of it. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { makeClientPackage, pack } from "./package.ts";

const DIST = join(import.meta.dir, "../../dist");

await makeClientPackage(join(DIST, "client"));
const tarball = pack(join(DIST, "client"), DIST);
console.log(`${tarball}: ${statSync(tarball).size} bytes`);
